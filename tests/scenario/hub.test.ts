// The hub's life: start, owner, lock, end.
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { cleanEnv, binary, startHub } from '../support/hub.ts';
import { Process } from '../support/process.ts';
import { freePort } from '../support/wait.ts';

test('a hub starts, is healthy and ready, and shows where it is', async (t) => {
  const hub = await startHub(t);
  for (const path of ['/healthz', '/readyz']) assert.equal((await hub.raw('GET', path, { key: null })).status, 200, path);
  assert.match(hub.output, new RegExp(`http://127\\.0\\.0\\.1:${hub.port}`));
});

test("the owner's key opens the API and is readable by the owner alone", async (t) => {
  const hub = await startHub(t);
  const mode = statSync(join(hub.dataDir, 'owner.key')).mode & 0o777;
  assert.equal(mode, 0o600);
  await hub.ok('GET', '/infrastructure/nodes');
  await hub.refused(401, 'GET', '/infrastructure/nodes', { key: null });
  await hub.refused(401, 'GET', '/infrastructure/nodes', { key: `${hub.key}x` });
  assert.ok(!hub.output.includes(hub.key!), 'the key is in no log');
});

test('a second hub on the same data is refused in a clear sentence', async (t) => {
  const hub = await startHub(t);
  const args = ['serve', '--data', hub.dataDir, '--listen', `127.0.0.1:${await freePort()}`];
  const second = Process.start(binary, args, { env: cleanEnv(hub.dataDir) });
  const exit = await second.wait();
  assert.equal(exit.code, 1, second.output);
  assert.match(second.stderr, /already|another hub/i);
  assert.ok(second.stderr.includes(hub.dataDir), 'it names the data');
  await hub.ok('GET', '/infrastructure/nodes');
});

test('SIGTERM ends it with 0 within 10 s, an open event stream or not', async (t) => {
  const hub = await startHub(t);
  const events = await hub.events();
  await hub.stop();
  events.close();
});

test('a restart and a kill -9 keep what was written', async (t) => {
  const hub = await startHub(t);
  const body = { name: 'spoke-one', type: 'spoke', provider: 'digitalocean', region: 'eu-west' } as const;
  const { node } = await hub.ok('POST', '/infrastructure/nodes', { body });
  await hub.kill9();
  await hub.restart();
  assert.equal((await hub.ok('GET', '/infrastructure/nodes/{nodeId}', { params: { nodeId: node.id } })).node.name, 'spoke-one');
  await hub.restart();
  assert.equal((await hub.ok('GET', '/infrastructure/nodes/{nodeId}', { params: { nodeId: node.id } })).node.name, 'spoke-one');
});
