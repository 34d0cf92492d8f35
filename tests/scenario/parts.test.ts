// The parts themselves: if one of these fails, failures elsewhere say nothing about the hub.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { demoImage, importChanges } from '../support/images.ts';
import { engines, type Engine } from '../support/parts/docker.ts';
import { Nginx } from '../support/parts/nginx.ts';
import { Registry } from '../support/parts/registry.ts';
import { noWrk, wrk } from '../support/parts/wrk.ts';
import { freePort, waitFor } from '../support/wait.ts';

const ports = (port: number) => ({
  HostConfig: { PortBindings: { '8080/tcp': [{ HostIp: '127.0.0.1', HostPort: String(port) }] } },
});

async function reachable(port: number, path: string): Promise<string> {
  return waitFor(async () => {
    const reply = await fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(2000) });
    return (await reply.text()).trim();
  });
}

for (const flavour of engines) {
  test(`${flavour.name} imports an image, runs it and publishes its port`, { skip: flavour.skip }, async (t) => {
    const engine: Engine = await flavour.start(t);
    const image = demoImage({ version: 'seven' });
    await engine.importImage('demo:7', image.rootfs, importChanges(image));
    const port = await freePort();
    const id = await engine.run('demo:7', ports(port), 'demo');
    assert.equal(await reachable(port, '/version'), 'seven');
    await engine.call('POST', `/containers/${id}/stop?t=5`);
    const { State } = await engine.call('GET', `/containers/${id}/json`);
    assert.equal(State.ExitCode, 0, 'SIGTERM ends the demo in order');
  });

  test(`${flavour.name} pulls from the private registry, by tag and from a two-platform index`, { skip: flavour.skip || Registry.skip }, async (t) => {
    const [engine, registry] = await Promise.all([flavour.start(t), Registry.start(t)]);
    const plain = await registry.push('demo', '1', demoImage({ version: '1' }));
    const index = await registry.pushIndex('demo', '2', demoImage({ version: '2' }));
    for (const { reference, digest } of [plain, index]) {
      await engine.call('POST', `/images/create?fromImage=${encodeURIComponent(reference)}`);
      const image = await engine.call('GET', `/images/${reference}/json`);
      assert.deepEqual(image.RepoDigests, [`${registry.address}/demo@${digest}`]);
    }
    const port = await freePort();
    await engine.run(index.reference, ports(port));
    assert.equal(await reachable(port, '/version'), '2');
  });
}

test('nginx serves a file and wrk measures it', { skip: Nginx.skip || noWrk }, async (t) => {
  const nginx = await Nginx.start({ server: 'location /gone { return 503; }', files: { 'hello.txt': 'hello' } }, t);
  assert.equal(await (await fetch(`${nginx.url}/hello.txt`)).text(), 'hello');
  const good = wrk({ url: `${nginx.url}/hello.txt`, seconds: 1, connections: 4 });
  assert.ok(good.requestsPerSecond > 100 && good.errors === 0 && good.p99 >= good.p50, JSON.stringify(good));
  assert.ok(wrk({ url: `${nginx.url}/gone`, seconds: 1, connections: 4 }).errors > 0, 'refusals are counted');
});
