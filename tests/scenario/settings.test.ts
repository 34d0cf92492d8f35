// What a hub refuses to start with, each in a sentence that names the cause; TLS; and its end while work is under way.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test, type TestContext } from 'node:test';
import { binary, cleanEnv, startHub } from '../support/hub.ts';
import { demoImage } from '../support/images.ts';
import { dockerOld } from '../support/parts/docker.ts';
import { Registry } from '../support/parts/registry.ts';
import { Process } from '../support/process.ts';
import { deployment, ended } from '../support/rig.ts';
import { freePort, waitFor } from '../support/wait.ts';

function folder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'hbcloud-settings-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** Starts a hub that must refuse; gives what it said. */
async function refusal(t: TestContext, args: string[], env: Record<string, string> = {}, data = folder(t)): Promise<string> {
  const listen = args.includes('--listen') ? [] : ['--listen', `127.0.0.1:${await freePort()}`];
  const started = Process.start(binary, ['serve', '--data', data, ...listen, ...args], { env: cleanEnv(data, { DOCKER_HOST: `unix://${data}/none.sock`, ...env }) });
  const exit = await started.wait(10_000);
  assert.ok(exit.code === 1 || exit.code === 2, `${JSON.stringify(exit)} ${started.output}`);
  return started.stderr;
}

test('a public address is refused without TLS or a proxy in front', async (t) => {
  for (const address of ['0.0.0.0', '[::]', '192.0.2.1']) {
    assert.match(await refusal(t, ['--listen', `${address}:${await freePort()}`]), /tls|behind.proxy/i, address);
  }
  const [data, port] = [folder(t), await freePort()];
  const started = Process.start(binary, ['serve', '--data', data, '--listen', `0.0.0.0:${port}`, '--behind-proxy'], { env: cleanEnv(data, { DOCKER_HOST: `unix://${data}/none.sock` }) });
  t.after(() => started.stop());
  await waitFor(async () => (await fetch(`http://127.0.0.1:${port}/healthz`)).status === 200, { what: 'the hub behind a proxy' });
});

test('an unknown or wrong setting is named, with its line', async (t) => {
  const config = join(folder(t), 'config.yaml');
  for (const [text, wanted] of [
    ['listen: 127.0.0.1:0\nlog:\n  level: info\n  colour: red\n', /colour.*line 4|line 4.*colour|:4.*colour/],
    ['metrics:\n  interval: soon\n', /interval/],
    ['listen: [1, 2\n', /line 2|:2/],
    ['listen: 127.0.0.1:0\nlisten: 127.0.0.1:1\n', /listen/],
  ] as const) {
    writeFileSync(config, text);
    assert.match(await refusal(t, ['--config', config]), wanted, text);
  }
  assert.match(await refusal(t, [], { HBCLOUD_WORKERS: 'many' }), /HBCLOUD_WORKERS/);
  assert.match(await refusal(t, ['--listen', '127.0.0.1:99999']), /listen|port/i);
  assert.match(await refusal(t, ['--no-such-flag']), /no-such-flag/);
});

test('a secret in a setting that is wrong is not repeated', async (t) => {
  const said = await refusal(t, [], { DATABASE_URL: 'postgresql://me:canary-in-url@db/x' });
  assert.match(said, /DATABASE_URL/);
  assert.doesNotMatch(said, /canary-in-url/);
});

test('TLS: the API is served with the given certificate, and plain HTTP is not', async (t) => {
  const dir = folder(t);
  const made = spawnSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=hub.test', '-keyout', join(dir, 'key.pem'), '-out', join(dir, 'cert.pem')]);
  assert.equal(made.status, 0, String(made.stderr));
  const port = await freePort();
  const started = Process.start(binary, ['serve', '--data', dir, '--listen', `127.0.0.1:${port}`, '--tls-certificate', join(dir, 'cert.pem'), '--tls-key', join(dir, 'key.pem')], { env: cleanEnv(dir, { DOCKER_HOST: `unix://${dir}/none.sock` }) });
  t.after(() => started.stop());
  const status = await waitFor(() => new Promise<number | false>((resolve) => {
    get({ host: '127.0.0.1', port, path: '/healthz', rejectUnauthorized: false, agent: false }, (reply) => resolve((reply.resume(), reply.statusCode!))).on('error', () => resolve(started.ended === undefined ? false : -1));
  }));
  assert.equal(status, 200, started.output);
  await assert.rejects(fetch(`http://127.0.0.1:${port}/healthz`));
  assert.match(started.output, new RegExp(`https://127\\.0\\.0\\.1:${port}`));
});

test('data that a newer version wrote, or that is damaged, is refused and left as it is', async (t) => {
  const hub = await startHub(t);
  await hub.stop();
  const database = new DatabaseSync(join(hub.dataDir, 'hub.db'));
  database.exec("INSERT INTO schema_migrations SELECT 9999, 'from the future', checksum, applied_at FROM schema_migrations LIMIT 1");
  database.close();
  assert.match(await refusal(t, [], {}, hub.dataDir), /newer version/);
  const other = folder(t);
  writeFileSync(join(other, 'hub.db'), 'this is not a database, but it is long enough to be read as a page of one'.repeat(100));
  assert.match(await refusal(t, [], {}, other), /database/i);
});

test('SIGTERM during a pull ends the hub within 10 s, and the next start finishes the deployment', { skip: dockerOld.skip || Registry.skip }, async (t) => {
  const [engine, registry] = await Promise.all([dockerOld.start(t), Registry.start(t)]);
  const { reference } = await registry.push('big', '1', demoImage({ version: 'big', ballast: 64 }));
  const hub = await startHub(t, { dockerHost: engine.host });
  await waitFor(async () => (await hub.ok('GET', '/system')).system.engine.available);
  const { deployment_id } = await hub.ok('POST', '/services', { body: { name: 'big', container: { image: reference }, networking: { internalPort: 8080 } } });
  await waitFor(async () => (await deployment(hub, deployment_id)).status.step === 'pull', { every: 5 });
  const began = Date.now();
  await hub.stop();
  assert.ok(Date.now() - began < 10_000);
  await hub.restart();
  const end = await ended(hub, deployment_id);
  assert.equal(end.status.state, 'completed', end.status.message);
});
