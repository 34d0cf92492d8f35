// The proof by kill -9, made from the table of steps: a step that is new is covered by being in it. The hub dies on both
// sides of each write to the journal while the service is asked all the time; after the restart the deployment ends
// `completed` or `rolled_back`, one container and one upstream are left, and no request was lost.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { Hub, repository } from '../support/hub.ts';
import { Load } from '../support/load.ts';
import { Caddy } from '../support/parts/caddy.ts';
import { dockerOld } from '../support/parts/docker.ts';
import { Registry } from '../support/parts/registry.ts';
import { ended, service, useRig } from '../support/rig.ts';
import { waitFor } from '../support/wait.ts';

const machine = readFileSync(join(repository, 'src/deployment/machine.h'), 'utf8');
const steps = [...machine.matchAll(/X\(STEP_\w+, "(\w+)"/g)].map((m) => m[1]!);
// Before and after each of a step's two writes; `./dev proof` takes all four, else each step has two of them in turn.
const sides = ['begin:before', 'done:before', 'begin:after', 'done:after'];
const full = process.env.HBCLOUD_PROOF === 'full';
const points = steps.flatMap((step, i) => (full ? sides : [sides[i % 2]!, sides[2 + (i % 2)]!]).map((at) => `${step}:${at}`));
const LANES = 4;

describe('O09 kill -9 on both sides of each write to the journal', { concurrency: LANES, skip: dockerOld.skip || Registry.skip || Caddy.skip }, () => {
  const rig = useRig(dockerOld);
  let images: string[];
  before(async () => {
    images = [await rig.demo('even'), await rig.demo('odd')];
    // An engine of this age makes two networks of one name when two hubs want one at the same time: it is there before.
    await rig.engine.call('POST', '/networks/create', { Name: 'hbcloud-production', Driver: 'bridge' });
  });

  test('the table of steps was read', () => assert.ok(steps.length >= 11 && steps.includes('switch'), String(steps)));

  for (let lane = 0; lane < LANES; lane++) {
    test(`lane ${lane}`, async (t) => {
      const caddy = await Caddy.start();
      t.after(() => caddy.stop());
      const hub = await Hub.start({ dockerHost: rig.engine.host, env: caddy.hubEnv });
      t.after(() => hub.discard());
      const name = `lane-${lane}`, params = { serviceId: name }, domain = `${name}.example.org`;
      const body = { name, container: { image: images[1]! }, networking: { internalPort: 8080, domains: [domain], healthCheck: { path: '/health' } } };
      const first = await ended(hub, (await hub.ok('POST', '/services', { body })).deployment_id);
      assert.equal(first.status.state, 'completed', JSON.stringify(first.status));
      const load = await Load.start({ port: caddy.port, host: domain, keepAliveGet: 40, keepAlivePost: 5, newGet: 10, trickle: 0, upload: 0, eventStreams: 0, sockets: 0, streamSeconds: 0 });
      t.after(() => load.discard());
      for (const [i, point] of points.filter((_, n) => n % LANES === lane).entries()) {
        await t.test(point, async () => {
          await hub.restart({ env: { ...caddy.hubEnv, HBCLOUD_FAILPOINT: point } });
          const change = { container: { image: images[i % 2]!, environment: { TURN: point } } };
          // The hub may die before it has answered: what it began is on record all the same.
          await hub.ok('PATCH', '/services/{serviceId}', { params, body: change }).catch(() => undefined);
          await waitFor(() => !hub.running, { timeout: 60_000, what: `the hub's death at ${point}` });
          await hub.restart({ env: caddy.hubEnv });
          const [newest] = (await hub.ok('GET', '/deployments', { query: { service_id: name, limit: 1 } })).deployments;
          const deployment_id = newest!.id;
          const end = await ended(hub, deployment_id, 60_000);
          assert.match(end.status.state, /^(completed|rolled_back)$/, `${end.status.message}\n${end.status.logs.join('\n')}`);
          const now = await service(hub, name);
          const left = await rig.containersOf(name);
          assert.deepEqual(left.map((c) => [c.Id, c.State.Running]), [[now.container.id, true]], 'one container is left');
          assert.ok(left[0]!.Config.Env.includes(`TURN=${point}`) === (end.status.state === 'completed'));
        });
      }
      const { sent, failed, failures } = await load.stop();
      assert.ok(sent > 500, `requests: ${sent}`);
      assert.deepEqual([failed, failures], [0, []]);
      await hub.stop();
    });
  }
});

