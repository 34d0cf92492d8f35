// O05, O06: blue-green switches of a real container behind the real Caddy while 500 requests a second of every kind
// arrive. No request is lost, no stream of another service is cut, its own end only when the container that holds them must go.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Load, everyKind } from '../support/load.ts';
import { Caddy, useCaddy } from '../support/parts/caddy.ts';
import { dockerOld } from '../support/parts/docker.ts';
import { Registry } from '../support/parts/registry.ts';
import { ended, useRig } from '../support/rig.ts';

// `./dev proof` takes all twenty.
const SWITCHES = process.env.HBCLOUD_PROOF === 'full' ? 20 : 3;

describe('O05 O06 twenty switches under load', { skip: dockerOld.skip || Registry.skip || Caddy.skip }, () => {
  const caddy = useCaddy();
  const rig = useRig(dockerOld, () => ({ env: caddy.hubEnv }));
  const params = { serviceId: 'shop' };

  test('no request is lost, and the receipts say the same', async (t) => {
    const images = [await rig.demo('even'), await rig.demo('odd')];
    const networking = (domain: string) => ({ internalPort: 8080, domains: [domain], healthCheck: { path: '/health' } });
    await rig.serve('other', images[0]!, { networking: networking('other.example.org') });
    await rig.serve('shop', images[1]!, { networking: networking('shop.example.org'), strategy: { drainTimeout: 30, stopGracePeriod: 10 } });
    const load = await Load.start({ port: caddy.port, host: 'shop.example.org', bystander: 'other.example.org', ...everyKind, streamSeconds: 8 });
    t.after(() => load.discard());
    const receipts = [];
    for (let i = 0; i < SWITCHES; i++) {
      const body = { container: { image: images[i % 2]!, environment: { TURN: String(i) } } };
      const end = await ended(rig.hub, (await rig.hub.ok('PATCH', '/services/{serviceId}', { params, body })).deployment_id, 120_000);
      assert.equal(end.status.state, 'completed', `switch ${i}: ${end.status.message}\n${end.status.logs.join('\n')}`);
      receipts.push(end.receipt);
    }
    const { sent, failed, failures, report, seconds } = await load.stop();
    t.diagnostic(`${sent} requests in ${seconds.toFixed(0)} s, ${failed} failed`);
    assert.deepEqual([failed, failures], [0, []]);
    assert.ok(sent / seconds >= 450, `${(sent / seconds).toFixed(0)} requests a second`);
    assert.ok(report['keep-alive GET']!.versions['even']! > 0 && report['keep-alive GET']!.versions['odd']! > 0, 'both versions answered');
    assert.equal(report['bystander event stream']!.sent, 10, 'no stream of the other service began anew');
    assert.equal(report['bystander WebSocket']!.sent, 10);
    for (const receipt of receipts) {
      const { before, during, after } = receipt?.probes ?? {};
      assert.ok(during && during.sent > 0, JSON.stringify(receipt));
      assert.deepEqual([before?.failed, during.failed, after?.failed], [0, 0, 0]);
      assert.equal(receipt?.drain?.forced, false);
    }
  });
});
