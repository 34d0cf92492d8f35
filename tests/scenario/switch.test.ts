// O05: one release takes the place of another behind the real Caddy: nothing is lost, what is worse is undone, and what
// cannot run twice is recreated and says so.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Load } from '../support/load.ts';
import { Caddy, useCaddy } from '../support/parts/caddy.ts';
import { dockerOld } from '../support/parts/docker.ts';
import { Registry } from '../support/parts/registry.ts';
import { service, useRig } from '../support/rig.ts';

const networking = (name: string) => ({ internalPort: 8080, domains: [`${name}.example.org`], healthCheck: { path: '/health', interval: 1, startPeriod: 5 } });
const log = (status: { logs: string[] }) => status.logs.join('\n');

describe('O05 a switch behind Caddy', { skip: dockerOld.skip || Registry.skip || Caddy.skip }, () => {
  const caddy = useCaddy();
  const rig = useRig(dockerOld, () => ({ env: caddy.hubEnv }));

  test('three switches under load: nothing fails, no reload, the receipt says what it was like', async (t) => {
    const images = [await rig.demo('even'), await rig.demo('odd')];
    const first = await rig.serve('shop', images[1]!, { networking: networking('shop') });
    assert.match(first.networking.url!, /shop\.example\.org/);
    const load = await Load.start({ port: caddy.port, host: 'shop.example.org', keepAliveGet: 100, keepAlivePost: 30, newGet: 20, trickle: 2, upload: 2 });
    t.after(() => load.discard());
    for (let i = 0; i < 3; i++) {
      const { status, receipt } = await rig.update('shop', { container: { image: images[i % 2]!, environment: { TURN: String(i) } } });
      assert.equal(status.state, 'completed', log(status));
      const { before, during, after } = receipt!.probes!;
      assert.deepEqual([before!.failed, during!.failed, after!.failed, receipt!.reloads, receipt!.drain!.forced, receipt!.bound!.held], [0, 0, 0, 0, false, true]);
      assert.ok(before!.sent >= 20 && after!.sent >= 20 && after!.p99! > 0, JSON.stringify(receipt!.probes));
      assert.equal((await caddy.get('shop.example.org', '/version')).body.trim(), i % 2 ? 'odd' : 'even');
      assert.equal((await rig.containersOf('shop')).length, 1);
    }
    const { sent, failures } = await load.stop();
    assert.deepEqual(failures, []);
    t.diagnostic(`${sent} requests, none failed`);
  });

  for (const [kind, environment, why] of [
    ['fails', { FAIL_PATH: '/version' }, /probes failed since the switch, 0 are allowed; the first: .*500/],
    ['is late for', { LATE_MS: '700' }, /\(p99\) took \d+ ms after the switch and \d+ ms before, more than 3/],
  ] as const) {
    test(`a release that answers its check and ${kind} its users is switched back by itself`, async () => {
      const name = `bound-${kind.slice(0, 2)}`;
      const probe = { path: '/version' };
      const before = await rig.serve(name, await rig.demo('sound'), { networking: networking(name), probe });
      const { status, receipt } = await rig.update(name, { container: { image: await rig.demo('worse'), environment } });
      assert.equal(status.state, 'rolled_back', log(status));
      assert.match(status.message!, why);
      assert.equal(receipt!.bound!.held, false);
      const now = await service(rig.hub, name);
      assert.deepEqual([now.container.id, now.status.deployment, now.networking.url], [before.container.id, 'running', before.networking.url]);
      assert.equal((await caddy.get(`${name}.example.org`, '/version')).body.trim(), 'sound');
      assert.equal((await rig.containersOf(name)).length, 1);
    });
  }

  test('a volume with one writer is recreated, said so, and requests of the pause are held', async (t) => {
    const volumes = [{ source: 'writer-data', target: '/data' }];
    await rig.serve('writer', await rig.demo('one'), { container: { image: await rig.demo('one'), volumes }, networking: networking('writer') });
    const load = await Load.start({ port: caddy.port, host: 'writer.example.org', newGet: 5 });
    t.after(() => load.discard());
    const { status, receipt } = await rig.update('writer', { container: { image: await rig.demo('two') } });
    assert.equal(status.state, 'completed', log(status));
    assert.equal(receipt!.strategy, 'recreate');
    assert.match(log(status), /writer-data is written to, and has a single writer/);
    assert.deepEqual((await load.stop()).failures, [], log(status));
    assert.equal((await caddy.get('writer.example.org', '/version')).body.trim(), 'two');
  });
});
