// One deployment of a service at a time: later ones wait, the newest takes the waiting ones' place, and any can be cancelled
// until the switch.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { dockerOld } from '../support/parts/docker.ts';
import { Registry } from '../support/parts/registry.ts';
import { deployment, ended, service, text, useRig, type ServiceChange } from '../support/rig.ts';
import { waitFor } from '../support/wait.ts';

describe('queue', { skip: dockerOld.skip || Registry.skip }, () => {
  const rig = useRig(dockerOld);
  const params = (serviceId: string) => ({ params: { serviceId } });
  const slow = { environment: { START_DELAY_MS: '4000' } };

  async function change(name: string, body: ServiceChange): Promise<string> {
    return (await rig.hub.ok('PATCH', '/services/{serviceId}', { ...params(name), body })).deployment_id;
  }

  test('O10 two deployments 50 ms apart, then ten at once: the newest serves, the others finished or were superseded', async () => {
    await rig.serve('merges', await rig.demo('base'));
    const images = await Promise.all([...Array(12).keys()].map((i) => rig.demo(`m${i}`)));
    const of = (i: number): ServiceChange => ({ container: { image: images[i]!, environment: { [`V${i}`]: 'kept' } } });
    const ids = [await change('merges', of(0))];
    await new Promise((resolve) => setTimeout(resolve, 50));
    ids.push(await change('merges', of(1)));
    ids.push(...(await Promise.all([2, 3, 4, 5, 6, 7, 8, 9, 10].map((i) => change('merges', of(i))))), await change('merges', of(11)));
    const ends = await Promise.all(ids.map((id) => ended(rig.hub, id)));
    assert.equal(ends.at(-1)!.status.state, 'completed', ends.at(-1)!.status.message);
    assert.deepEqual(ends.filter((d) => !['completed', 'superseded'].includes(d.status.state)).map((d) => d.status), []);
    const superseded = ends.filter((d) => d.status.state === 'superseded');
    assert.ok(superseded.length >= 9, `${superseded.length} superseded`);
    for (const { status } of superseded) assert.ok(ids.some((id) => status.message!.includes(id)), status.message);
    assert.equal(await text((await service(rig.hub, 'merges')).networking.url), 'm11');
    const [only, ...others] = await rig.containersOf('merges');
    assert.deepEqual(others, []);
    for (let i = 0; i < 12; i++) assert.ok(only!.Config.Env.includes(`V${i}=kept`), `a superseded change is not lost: V${i}`);
  });

  test('O09 the hub is killed with one running and one waiting: both go on, the later serves', async () => {
    await rig.serve('orphans', await rig.demo('base'));
    const first = await change('orphans', { container: { image: await rig.demo('first'), ...slow } });
    await waitFor(async () => (await deployment(rig.hub, first)).status.step === 'check');
    const second = await change('orphans', { container: { image: await rig.demo('second'), environment: { START_DELAY_MS: null } } });
    assert.match((await deployment(rig.hub, second)).status.message!, new RegExp(`^Waits.*${first}`));
    await rig.hub.kill9();
    await rig.hub.restart();
    assert.equal((await ended(rig.hub, first)).status.state, 'completed');
    await waitFor(async () => (await deployment(rig.hub, second)).status.step !== null, { timeout: 5000, what: 'the queue to move' });
    assert.equal((await ended(rig.hub, second)).status.state, 'completed');
    assert.equal(await text((await service(rig.hub, 'orphans')).networking.url), 'second');
  });

  test('a waiting deployment is cancelled at once, a running one is undone, an ended one is refused', async () => {
    await rig.serve('calm', await rig.demo('base'));
    const cancel = (deploymentId: string) => rig.hub.api('POST', '/deployments/{deploymentId}/cancel', { params: { deploymentId } });
    const running = await change('calm', { container: { image: await rig.demo('running'), ...slow } });
    const waiting = await change('calm', { container: { image: await rig.demo('waiting') } });
    const reply = await cancel(waiting);
    assert.deepEqual([reply.status, reply.body.deployment.status.state], [202, 'cancelled']);
    await waitFor(async () => (await deployment(rig.hub, running)).status.step === 'check');
    assert.equal((await cancel(running)).status, 202);
    const end = await ended(rig.hub, running);
    assert.deepEqual([end.status.state, /Cancelled by owner/.test(end.status.message!)], ['cancelled', true], end.status.message);
    assert.equal(await text((await service(rig.hub, 'calm')).networking.url), 'base');
    assert.equal((await rig.containersOf('calm')).length, 1);
    const late = await cancel(running);
    assert.deepEqual([late.status, late.body.error.message], [409, 'The deployment has ended: it is cancelled.']);
    assert.equal((await rig.update('calm', { container: { environment: { START_DELAY_MS: null } } })).status.state, 'completed', 'the queue moves on');
  });

  test('deployments are listed with figures, filters and the journal of one', async () => {
    const { deployments, analytics } = await rig.hub.ok('GET', '/deployments', { query: { service_id: 'calm' } });
    assert.deepEqual(deployments.map((d) => d.status.state), ['completed', 'cancelled', 'cancelled', 'completed']);
    assert.deepEqual([analytics.success_rate, analytics.total, analytics.by_state], [100, 4, { cancelled: 2, completed: 2 }]);
    assert.ok(analytics.average_duration! > 0 && analytics.longest_duration! >= analytics.average_duration!);
    assert.deepEqual((await rig.hub.ok('GET', '/deployments', { query: { service_id: 'calm', from: '2100-01-01T00:00:00Z' } })).deployments, []);
    const { journal } = await deployment(rig.hub, deployments[0]!.id);
    assert.deepEqual(journal!.map((j) => j.seq), journal!.map((_, i) => i + 1));
    assert.ok(journal!.some((j) => j.step === 'switch' && j.mark === 'done'));
  });
});
