// Bad input and bad clients, on raw sockets where no HTTP client would do it.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { Hub, startHub } from '../support/hub.ts';
import { dial, drain, exchange, statuses } from '../support/raw.ts';
import { waitFor } from '../support/wait.ts';

const nodes = '/v1/infrastructure/nodes';

describe('bad input', () => {
  let hub: Hub;
  before(async () => (hub = await Hub.start({ env: { HBCLOUD_RATE_ANONYMOUS: '0', HBCLOUD_HTTP_HEADER_TIME: '500ms', HBCLOUD_HTTP_BODY_GRACE: '500ms', HBCLOUD_HTTP_BODY_TIME: '2s', HBCLOUD_LOG_LEVEL: 'debug' } })));
  after(async () => {
    await hub.stop();
    await hub.discard();
  });
  const post = (body: string | Uint8Array, headers: Record<string, string> = {}) => hub.raw('POST', nodes, { body, headers });

  test('O26 what two parsers could read differently is refused once, and the connection closed', async () => {
    const smuggled = `GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n`;
    const chunked = `0\r\n\r\n${smuggled}`;
    const both = (lines: string[], body: string, version = '1.1') => `POST ${nodes} HTTP/${version}\r\nHost: x\r\n${lines.join('\r\n')}\r\n\r\n${body}`;
    const length = `Content-Length: ${chunked.length}`;
    const attacks: Record<string, string> = {
      'length, then chunked': both([length, 'Transfer-Encoding: chunked'], chunked),
      'chunked, then length': both(['Transfer-Encoding: chunked', length], chunked),
      'mixed case': both([length, 'tRaNsFeR-eNcOdInG: Chunked'], chunked),
      'HTTP/1.0 chunked': both(['Transfer-Encoding: chunked'], chunked, '1.0'),
      'two lengths': both(['Content-Length: 5', 'Content-Length: 6'], `hello${smuggled}`),
      'a list of lengths': both(['Content-Length: 5, 5'], `hello${smuggled}`),
      'a signed length': both(['Content-Length: +5'], `hello${smuggled}`),
      'a huge chunk': both(['Transfer-Encoding: chunked'], `FFFFFFFFFFFFFFFFF\r\n${smuggled}`),
      'an unknown coding': both(['Transfer-Encoding: chunked, identity'], chunked),
      'a folded header': both(['X-A: b', ' c', 'Content-Length: 0'], smuggled),
      'a blank before the colon': both(['Content-Length : 5'], `hello${smuggled}`),
      'a bare line feed': `GET ${nodes} HTTP/1.1\nHost: x\n\n`,
      'a NUL in a header': both(['X-A: b\0c', 'Content-Length: 0'], smuggled),
      'no host': `GET ${nodes} HTTP/1.1\r\n\r\n`,
      'two hosts': `GET ${nodes} HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n`,
    };
    for (const [name, bytes] of Object.entries(attacks)) {
      const { text, closed } = await exchange(hub.port, bytes);
      assert.deepEqual([statuses(text), closed], [[400], true], `${name}: ${text.slice(0, 200)}`);
      assert.match(text, /"code":"[A-Z_]+"/, name);
    }
    assert.ok(!hub.output.includes('smuggled'), 'no second request in the log');
  });

  test('a body that is not JSON, nested too deeply, not UTF-8 or with a key twice is 400', async () => {
    const named = '"name":"a","type":"spoke","provider":"local"';
    const bad: Record<string, string | Uint8Array> = {
      empty: '', cut: `{${named}`, two: '{}{}', comment: `{${named}/*x*/}`, 'not UTF-8': Buffer.from(`{"name":"\xff","type":"spoke"}`, 'latin1'),
      'a key twice': `{${named},"name":"b"}`, deep: '['.repeat(5000) + ']'.repeat(5000), 'deep objects': '{"a":'.repeat(5000) + '1' + '}'.repeat(5000),
      'lone surrogate': `{"name":"\\ud800","type":"spoke","provider":"local"}`, 'NUL escape': `{"name":"a\\u0000b","type":"spoke","provider":"local"}`,
      'huge number': `{${named},"resources":{"cpu":1e999}}`, array: '[]', text: '"x"', null: 'null',
    };
    for (const [name, body] of Object.entries(bad)) {
      const reply = await post(body);
      assert.deepEqual([reply.status, typeof reply.body.error?.message], [400, 'string'], `${name}: ${JSON.stringify(reply.body)}`);
    }
  });

  test('each bad field is named by its pointer with the reason', async () => {
    const { status, body } = await hub.raw('POST', nodes, { body: { name: '-x', type: 'moon', provider: 7, resources: { cpu: 'many' }, colour: 'red' } });
    assert.equal(status, 400);
    assert.deepEqual(Object.keys(body.error.details).sort(), ['/colour', '/name', '/provider', '/resources/cpu', '/type']);
    const query = await hub.raw('GET', `${nodes}?limit=0&colour=red&type=moon`);
    assert.deepEqual([query.status, Object.keys(query.body.error.details).sort()], [400, ['/colour', '/limit', '/type']]);
  });

  test('a body that is too large is 413, before it is read', async () => {
    const reply = await exchange(hub.port, `POST ${nodes} HTTP/1.1\r\nHost: x\r\nX-API-Key: ${hub.key}\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n\r\n`);
    assert.deepEqual([statuses(reply.text), reply.closed], [[413], true]);
    const chunk = `10000\r\n${' '.repeat(0x10000)}\r\n`;
    const chunks = await exchange(hub.port, `POST ${nodes} HTTP/1.1\r\nHost: x\r\nX-API-Key: ${hub.key}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(3)}`);
    assert.deepEqual(statuses(chunks.text), [413]);
    assert.deepEqual(statuses((await exchange(hub.port, `GET /${'a'.repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`)).text), [414]);
    assert.deepEqual(statuses((await exchange(hub.port, `GET / HTTP/1.1\r\nHost: x\r\n${'X-A: b\r\n'.repeat(200)}\r\n`)).text), [431]);
  });

  test('methods, types and what is asked for: 404, 405 with Allow, 406, 415, in the one shape', async () => {
    const answers = [
      [404, await hub.raw('GET', '/v1/nothing')],
      [405, await hub.raw('PUT', nodes)],
      [406, await hub.raw('GET', nodes, { headers: { accept: 'image/png' } })],
      [415, await hub.raw('POST', nodes, { body: '<a/>', headers: { 'content-type': 'application/xml' } })],
    ] as const;
    for (const [status, reply] of answers) {
      assert.equal(reply.status, status);
      assert.equal(reply.body.error.requestId, reply.headers.get('x-request-id'));
    }
    assert.deepEqual(answers[1][1].headers.get('allow')!.split(/, ?/).sort(), ['GET', 'HEAD', 'OPTIONS', 'POST']);
    const mine = await hub.raw('GET', nodes, { headers: { 'x-request-id': 'mine-1' } });
    assert.equal(mine.headers.get('x-request-id'), 'mine-1');
    assert.notEqual((await hub.raw('GET', nodes, { headers: { 'x-request-id': 'not mine' } })).headers.get('x-request-id'), 'not mine');
  });

  test('HEAD has the headers of GET and no body; gzip and zstd give the same bytes', async () => {
    const get = await exchange(hub.port, `GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    const head = await exchange(hub.port, `HEAD /v1/openapi.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    const length = (text: string) => /content-length: (\d+)/i.exec(text)?.[1];
    assert.deepEqual([length(head.text), head.text.split('\r\n\r\n')[1]], [length(get.text), '']);
    const body = get.text.slice(get.text.indexOf('\r\n\r\n') + 4);
    for (const [coding, decode] of [['gzip', gunzipSync], ['zstd', zstdDecompressSync]] as const) {
      const { text } = await exchange(hub.port, `GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\nAccept-Encoding: ${coding}\r\nConnection: close\r\n\r\n`);
      assert.match(text, new RegExp(`content-encoding: ${coding}`, 'i'));
      assert.match(text, /vary: .*accept-encoding/i);
      assert.equal(decode(Buffer.from(text.slice(text.indexOf('\r\n\r\n') + 4), 'latin1')).toString('latin1'), body);
    }
  });

  test('a path is decoded once, by segment, before anybody is let in', async () => {
    for (const path of ['/v1/infrastructure%2Fnodes', '/v1/../v1/infrastructure/nodes', '/v1/infrastructure/nodes/%252e', '/v1/keys/%2e%2e/infrastructure/nodes']) {
      const { text } = await exchange(hub.port, `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
      assert.ok([400, 401, 404].includes(statuses(text)[0]!), `${path}: ${text.slice(0, 100)}`);
    }
    for (const path of ['/v1/infrastructure/nodes/%zz', '/v1/infrastructure/nodes/%00']) {
      assert.deepEqual(statuses((await exchange(hub.port, `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`)).text), [400], path);
    }
  });

  test('a header block or body that comes too slowly is ended by the hub', async () => {
    for (const [name, start, drop] of [['headers', 'GET / HTTP/1.1\r\nHost: x\r\n', 'X'], ['body', `POST ${nodes} HTTP/1.1\r\nHost: x\r\nX-API-Key: ${hub.key}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n`, ' ']] as const) {
      const socket = await dial(hub.port);
      socket.write(start);
      const dripping = setInterval(() => socket.write(drop), 100);
      const began = Date.now();
      const { text, closed } = await drain(socket, 4000);
      clearInterval(dripping);
      assert.deepEqual([statuses(text), closed], [[408], true], name);
      assert.ok(Date.now() - began < 3500, name);
    }
  });
});

test('pages of the domain and of port 3000 may call with credentials, others may not', async (t) => {
  const hub = await startHub(t, { env: { HBCLOUD_DOMAIN: 'example.org' } });
  const origin = async (value: string) => (await hub.raw('GET', nodes, { headers: { origin: value } })).headers;
  for (const good of ['https://app.example.org', 'http://localhost:3000']) {
    const headers = await origin(good);
    assert.deepEqual([headers.get('access-control-allow-origin'), headers.get('access-control-allow-credentials')], [good, 'true']);
    assert.match(headers.get('vary')!, /origin/i);
  }
  for (const bad of ['https://example.org.evil.test', 'http://app.example.org', 'https://evilexample.org', 'null', 'http://localhost:3001']) {
    assert.equal((await origin(bad)).get('access-control-allow-origin'), null, bad);
  }
  const preflight = await hub.raw('OPTIONS', nodes, { key: null, headers: { origin: 'https://a.example.org', 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type,x-csrf-token' } });
  assert.equal(preflight.status, 204);
  assert.match(preflight.headers.get('access-control-allow-methods')!, /POST/);
});

test('O43 a forwarded address from a peer that is no trusted proxy counts for nothing', async (t) => {
  const hub = await startHub(t, { env: { HBCLOUD_RATE_ANONYMOUS: '5' } });
  const ask = (i: number) => hub.raw('GET', '/v1/openapi.json', { key: null, headers: { 'x-forwarded-for': `203.0.113.${i}` } });
  const answers = [];
  for (let i = 0; i < 8; i++) answers.push(await ask(i));
  assert.equal(answers.at(-1)!.status, 429);
  assert.ok(Number(answers.at(-1)!.headers.get('retry-after')) > 0);
  assert.equal((await hub.api('GET', '/infrastructure/nodes')).status, 200, 'a known caller has a limit of its own');
});

test('O46 with 5,000 slow connections the health answers within 100 ms and memory stays flat', async (t) => {
  const hub = await startHub(t, { env: { HBCLOUD_HTTP_HEADER_TIME: '60s', HBCLOUD_HTTP_CONNECTIONS: '8192', HBCLOUD_RATE_ANONYMOUS: '0' } });
  const resident = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${hub.pid}/status`, 'utf8'))![1]) * 1024;
  const before = resident();
  const starts = ['GET / HTTP/1.1\r\nHost: x\r\nX-', `POST ${nodes} HTTP/1.1\r\nHost: x\r\nX-API-Key: ${hub.key}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1`, `GET /v1/events HTTP/1.1\r\nHost: x\r\nX-API-Key: ${hub.key}\r\n\r\n`];
  const sockets = await Promise.all(Array.from({ length: 5000 }, async (_, i) => {
    const socket = await dial(hub.port);
    socket.on('error', () => {});
    socket.pause();
    socket.write(starts[i % 3]!);
    return socket;
  }));
  t.after(() => sockets.forEach((s) => s.destroy()));
  await waitFor(() => readdirSync(`/proc/${hub.pid}/fd`).length >= 5000, { what: '5,000 open connections in the hub' });
  const times = [];
  for (let i = 0; i < 20; i++) {
    const began = performance.now();
    assert.equal((await hub.raw('GET', '/healthz', { key: null })).status, 200);
    times.push(performance.now() - began);
  }
  times.sort((a, b) => a - b);
  assert.ok(times[10]! < 100, `health took ${times.map((ms) => ms.toFixed(0))} ms`);
  assert.ok(resident() - before < 5000 * 24 * 1024, `${((resident() - before) / 1e6).toFixed(0)} MB more`);
  sockets.forEach((s) => s.destroy());
  await waitFor(() => hub.running);
});
