// O09: the hub is killed at each step of a deployment and while sampling. After the restart nothing stays under way,
// exactly one container of the service is left, the next deployment goes through at once, and what was shown is still there.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { dockerOld } from '../support/parts/docker.ts';
import { Registry } from '../support/parts/registry.ts';
import { startHub, type Hub } from '../support/hub.ts';
import { ended, service, text, useRig } from '../support/rig.ts';
import { waitFor } from '../support/wait.ts';

const steps = ['validate', 'resolve', 'preflight', 'pull', 'create', 'start', 'check', 'switch', 'verify', 'retire'];

/** Kills the hub when an event says that the deployment has reached the step; false when it ended before that was seen. */
async function killAt(hub: Hub, deploymentId: string, step: string, lastEventId: string | undefined): Promise<void> {
  const events = await hub.events({ lastEventId, query: { types: 'deployment.*' } });
  await events.until(({ data }) => data.entityId === deploymentId && (data.data.status.step === step || data.data.status.state === 'completed'));
  await hub.kill9();
  events.close();
}

describe('O09 kill -9', { skip: dockerOld.skip || Registry.skip }, () => {
  const rig = useRig(dockerOld);
  const params = { serviceId: 'phoenix' };

  /** The newest event's id, to see each step of what begins after it. */
  async function here(): Promise<string | undefined> {
    const events = await rig.events();
    const { id } = await events.until((e) => e.id !== undefined);
    events.close();
    return id;
  }

  test('at each step of an update, one container serves and the next deployment starts within 5 s', async (t) => {
    const images = [await rig.demo('even'), await rig.demo('odd')];
    await rig.serve('phoenix', images[1]!);
    for (const [i, step] of steps.entries()) {
      await t.test(`killed at ${step}`, async () => {
        const before = await here();
        const body = { container: { image: images[i % 2]!, environment: { TURN: step } } };
        const { deployment_id } = await rig.hub.ok('PATCH', '/services/{serviceId}', { params, body });
        await killAt(rig.hub, deployment_id, step, before);
        await rig.hub.restart();
        const end = await ended(rig.hub, deployment_id, 30_000);
        assert.equal(end.status.state, 'completed', `${end.status.message} ${end.status.logs.join('\n')}`);
        const now = await service(rig.hub, 'phoenix');
        const left = await rig.containersOf('phoenix');
        assert.deepEqual(left.map((c) => [c.Id, c.State.Running]), [[now.container.id, true]], step);
        assert.equal(await text(now.networking.url), i % 2 ? 'odd' : 'even');
        assert.ok(left[0]!.Config.Env.includes(`TURN=${step}`));
        const asked = Date.now();
        const next = await rig.hub.ok('PATCH', '/services/{serviceId}', { params, body: { labels: { turn: step } } });
        await waitFor(async () => (await rig.hub.ok('GET', '/deployments/{deploymentId}', { params: { deploymentId: next.deployment_id } })).deployment.status.step !== null);
        assert.ok(Date.now() - asked < 5000, 'the queue moves');
        assert.equal((await ended(rig.hub, next.deployment_id)).status.state, 'completed');
      });
    }
  });

  test('in the first deployment, and in one that fails: it ends, and nothing is left of the failed one', async () => {
    const image = await rig.demo('even');
    for (const [name, environment, wanted] of [['fresh', {}, 'completed'], ['doomed', { CRASH: '1' }, 'failed']] as const) {
      const before = await here();
      const { deployment_id } = await rig.begin(name, image, { container: { image, environment } });
      await killAt(rig.hub, deployment_id, 'create', before);
      await rig.hub.restart();
      const end = await ended(rig.hub, deployment_id, 30_000);
      assert.equal(end.status.state, wanted, `${end.status.message} ${end.status.logs.join('\n')}`);
      assert.equal((await rig.containersOf(name)).length, wanted === 'completed' ? 1 : 0);
      assert.equal((await service(rig.hub, name)).status.deployment, wanted === 'completed' ? 'running' : 'failed');
    }
  });
});

test('kill -9 while sampling: what a query has shown is still there', async (t) => {
  const hub = await startHub(t, { env: { HBCLOUD_METRICS_INTERVAL: '1s' } });
  const query = { name: 'cpu.usage.percent', fn: 'last', step: '1s', from: String(Date.now() - 60_000) } as const;
  const points = async (): Promise<string[]> => {
    const { series } = await hub.ok('GET', '/monitoring/query', { query: { ...query, to: String(Date.now()) } });
    return (series[0]?.points ?? []).filter(([, value]) => value !== null).map((p) => JSON.stringify(p));
  };
  let shown: string[] = [];
  for (let round = 1; round <= 3; round++) {
    shown = [...new Set([...shown, ...(await waitFor(async () => { const all = await points(); return all.length >= 3 * round && all; }))])];
    await hub.kill9();
    await hub.restart();
    const after = new Set(await points());
    assert.deepEqual(shown.filter((point) => !after.has(point)), [], 'nothing that was shown is lost');
  }
});
