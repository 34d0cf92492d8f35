// Server-sent events: nothing lost, nothing twice, nothing held back on the way.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client } from '../support/client.ts';
import { startHub, type Hub } from '../support/hub.ts';
import { Nginx } from '../support/parts/nginx.ts';
import { dial, drain } from '../support/raw.ts';
import { waitFor } from '../support/wait.ts';

const create = (hub: Hub, name: string) => hub.ok('POST', '/infrastructure/nodes', { body: { name, type: 'spoke', provider: 'other' } });
const query = { types: 'node.created' };
const named = (stream: { seen: { type: string; data: any }[] }, type = 'node.created') => stream.seen.filter((e) => e.type === type).map((e) => e.data.data.name);

test('a break is resumed by Last-Event-ID: nothing is lost and nothing repeated', async (t) => {
  const hub = await startHub(t);
  const all: string[] = [];
  let lastEventId: string | undefined;
  for (let round = 0; round < 5; round++) {
    const stream = await hub.events({ query, lastEventId });
    await create(hub, `live-${round}`);
    const last = await stream.until((e) => e.data?.data?.name === `live-${round}`);
    stream.close();
    all.push(...named(stream));
    lastEventId = last.id;
    await create(hub, `missed-${round}`);
  }
  const stream = await hub.events({ query, lastEventId });
  await stream.until((e) => e.data?.data?.name === 'missed-4');
  stream.close();
  all.push(...named(stream));
  assert.deepEqual(all, Array.from({ length: 5 }, (_, i) => [`live-${i}`, `missed-${i}`]).flat());
});

test('after a restart, and for an id that nobody gave, one reset says that all must be read anew', async (t) => {
  const hub = await startHub(t);
  const first = await hub.events({ query });
  await create(hub, 'one');
  const { id } = await first.until((e) => e.type === 'node.created');
  first.close();
  await hub.restart();
  for (const lastEventId of [id!, 'made-up', '999999999']) {
    const stream = await hub.events({ query, lastEventId });
    const reset = await stream.until((e) => e.type === 'reset');
    await create(hub, `after-${lastEventId.slice(-8).toLowerCase().replace(/[^a-z0-9]/g, 'x')}`);
    await stream.until((e) => e.type === 'node.created');
    stream.close();
    assert.equal(stream.seen.filter((e) => e.type === 'reset').length, 1);
    assert.notEqual(reset.id, undefined, 'one can resume from it');
  }
});

test('more was missed than is kept: a reset, not a gap', async (t) => {
  const hub = await startHub(t, { env: { HBCLOUD_RATE_KNOWN: '0' } });
  const stream = await hub.events({ query: { types: 'node.*' } });
  const { node } = await create(hub, 'busy');
  const { id } = await stream.until((e) => e.type === 'node.created');
  stream.close();
  const patch = (n: number) => hub.ok('PATCH', '/infrastructure/nodes/{nodeId}', { params: { nodeId: node.id }, body: { labels: { n: String(n) } } });
  for (let n = 0; n < 3000; n += 20) await Promise.all(Array.from({ length: 20 }, (_, i) => patch(n + i)));
  const late = await hub.events({ lastEventId: id, query: { types: 'node.*' } });
  await late.until((e) => e.type === 'reset' || e.data.data?.labels?.n !== undefined);
  late.close();
  assert.equal(late.seen.find((e) => e.type !== 'hello')!.type, 'reset', 'the oldest are no longer there');
});

test('a quiet stream gets a heartbeat, and is neither compressed nor kept', async (t) => {
  const hub = await startHub(t, { env: { HBCLOUD_METRICS_INTERVAL: '1h' } });
  const socket = await dial(hub.port);
  socket.write(`GET /v1/events?types=key.created HTTP/1.1\r\nHost: x\r\nX-API-Key: ${hub.key}\r\nAccept-Encoding: gzip, zstd\r\n\r\n`);
  let text = '';
  socket.on('data', (chunk) => (text += chunk.toString('utf8')));
  t.after(() => socket.destroy());
  await waitFor(() => /\r\n\r\n[^]*\n:.*\n/.test(text), { timeout: 20_000, what: 'a heartbeat' });
  const head = text.slice(0, text.indexOf('\r\n\r\n')).toLowerCase();
  assert.match(head, /x-accel-buffering: no/);
  assert.match(head, /cache-control: no-store/);
  assert.doesNotMatch(head, /content-encoding/);
});

test('O27 through a default nginx the first event arrives within 1 s, and a break loses and repeats nothing', { skip: Nginx.skip }, async (t) => {
  const hub = await startHub(t);
  const nginx = await Nginx.start({ server: `location /v1/ { proxy_pass http://127.0.0.1:${hub.port}; }`, http: 'gzip on; gzip_types *;' }, t);
  const outside = new Client(nginx.url, hub.key);
  const stream = await outside.events({ query });
  const began = Date.now();
  await create(hub, 'first');
  const { id } = await stream.until((e) => e.type === 'node.created');
  assert.ok(Date.now() - began < 1000, `${Date.now() - began} ms`);
  stream.close();
  await create(hub, 'second');
  const again = await outside.events({ query, lastEventId: id });
  await again.until((e) => e.type === 'node.created');
  again.close();
  assert.deepEqual(named(again), ['second']);
});

test('a reader that never reads is closed, and the others go on', async (t) => {
  const hub = await startHub(t, { env: { HBCLOUD_RATE_KNOWN: '0', HBCLOUD_VALIDATE_REPLIES: '0' } });
  const slow = await dial(hub.port);
  slow.pause();
  slow.write(`GET /v1/events HTTP/1.1\r\nHost: x\r\nX-API-Key: ${hub.key}\r\n\r\n`);
  const brisk = await hub.events({ query: { types: 'node.updated' } });
  const { node } = await create(hub, 'chatty');
  const labels = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`label-${i}`, 'x'.repeat(250)]));
  const patch = (n: number) => hub.ok('PATCH', '/infrastructure/nodes/{nodeId}', { params: { nodeId: node.id }, body: { labels: { ...labels, n: String(n) } } });
  for (let n = 0; n < 1000; n += 10) {
    await Promise.all(Array.from({ length: 10 }, (_, i) => patch(n + i)));
    await waitFor(() => named(brisk, 'node.updated').filter((name) => name === 'chatty').length === n + 10, { every: 1, what: 'every event at the reader that reads' });
  }
  assert.equal((await drain(slow.resume(), 5000)).closed, true, 'the hub gave it up');
  brisk.close();
});

test('what only an admin may read is not sent to others, and a stream ends with its key', async (t) => {
  const hub = await startHub(t);
  const viewer = await hub.ok('POST', '/keys', { body: { name: 'watcher', role: 'viewer' } });
  const [theirs, mine] = [await hub.events({ key: viewer.secret }), await hub.events()];
  await hub.ok('POST', '/keys', { body: { name: 'another', role: 'viewer' } });
  await mine.until((e) => e.type === 'key.created');
  await create(hub, 'mark');
  await theirs.until((e) => e.type === 'node.created');
  assert.ok(!theirs.seen.some((e) => e.type.startsWith('key.')));
  await hub.ok('DELETE', '/keys/{keyId}', { params: { keyId: viewer.key.id } });
  await assert.rejects(theirs.until((e) => e.type === 'never', { timeout: 5000 }), /closed the event stream|closed/);
  mine.close();
});
