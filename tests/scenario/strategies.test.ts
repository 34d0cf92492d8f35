// How one release takes the place of another where there is more than one container to it, where only one may be, where it
// runs to its end; and what becomes of what somebody changed behind the hub's back.
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { describe, test } from 'node:test';
import { shellImage } from '../support/images.ts';
import { Load } from '../support/load.ts';
import { Caddy, useCaddy } from '../support/parts/caddy.ts';
import { dockerOld } from '../support/parts/docker.ts';
import { Registry } from '../support/parts/registry.ts';
import { ended, service, serviceThat, useRig } from '../support/rig.ts';

const check = { path: '/health', interval: 1, startPeriod: 5 };
const log = (status: { logs: string[] }): string => status.logs.join('\n');

describe('strategies', { skip: dockerOld.skip || Registry.skip || Caddy.skip }, () => {
  const caddy = useCaddy();
  const rig = useRig(dockerOld, () => ({ env: { ...caddy.hubEnv, HBCLOUD_PULL_STALL: '3s' } }));
  const running = async (name: string): Promise<string[]> => (await rig.containersOf(name)).filter((c) => c.State.Running).map((c) => c.Id).sort();

  test('rolling: one instance after the other under load, nothing fails', async (t) => {
    const networking = { internalPort: 8080, domains: ['roll.example.org'], healthCheck: check };
    await rig.serve('roll', await rig.demo('one'), { networking, instances: 3, strategy: { type: 'rolling' } });
    const before = await running('roll');
    assert.equal(before.length, 3);
    const load = await Load.start({ port: caddy.port, host: 'roll.example.org', keepAliveGet: 60, keepAlivePost: 10, newGet: 20, trickle: 0, upload: 0, eventStreams: 0, sockets: 0, streamSeconds: 0 });
    t.after(() => load.discard());
    const { status, receipt, timing } = await rig.update('roll', { container: { image: await rig.demo('two') } });
    assert.equal(status.state, 'completed', log(status));
    assert.equal(receipt!.strategy, 'rolling');
    assert.equal(timing.phases.filter((p) => p.name === 'switch').length, 3);
    const after = await running('roll');
    assert.deepEqual([after.length, after.filter((id) => before.includes(id))], [3, []]);
    assert.deepEqual((await load.stop()).failures, []);
  });

  test('more and fewer of a service: no container that stays is touched', async () => {
    await rig.serve('many', await rig.demo('one'), { networking: { internalPort: 8080, domains: ['many.example.org'], healthCheck: check } });
    const [first] = await running('many');
    const more = await rig.update('many', { instances: 3 });
    assert.deepEqual([more.status.state, more.changes.type], ['completed', 'scale'], log(more.status));
    const three = await running('many');
    assert.ok(three.length === 3 && three.includes(first!));
    assert.equal((await service(rig.hub, 'many')).status.deployment, 'running', 'the one that stayed is not under way any more');
    const fewer = await rig.update('many', { instances: 1 });
    assert.equal(fewer.status.state, 'completed', log(fewer.status));
    assert.deepEqual(await running('many'), [first]);
    assert.equal((await caddy.get('many.example.org', '/version')).status, 200);
  });

  test('a fixed name is handed on, and handed back when the new one fails', async () => {
    const image = await rig.demo('one');
    const networking = { internalPort: 8080, healthCheck: check };
    await rig.serve('named', image, { container: { image, name: 'the-only-one' }, networking });
    const { status } = await rig.update('named', { container: { image: await rig.demo('two') } });
    assert.equal(status.state, 'completed', log(status));
    assert.match(log(status), /strategy recreate: The container's name the-only-one is fixed/);
    assert.deepEqual((await rig.containersOf('named')).map((c) => c.Name), ['/the-only-one']);
    const failed = await rig.update('named', { container: { environment: { CRASH: '1' } } });
    assert.equal(failed.status.state, 'rolled_back', log(failed.status));
    const [only, ...others] = await rig.containersOf('named');
    assert.deepEqual([only!.Name, only!.State.Running, others], ['/the-only-one', true, []]);
  });

  test('a job runs to its end: its output is kept, and its status decides', async () => {
    const good = await rig.deploy('migrate', await rig.push('migrate', '1', shellImage('echo rows: 42; exit 0')), { lifecycle: 'job', networking: { internalPort: null } } as never);
    assert.equal(good.status.state, 'completed', log(good.status));
    assert.match(log(good.status), /job: rows: 42/);
    const bad = await rig.deploy('broken', await rig.push('broken', '1', shellImage('echo no such table; exit 4')), { lifecycle: 'job', networking: { internalPort: null } } as never);
    assert.equal(bad.status.state, 'failed');
    assert.match(bad.status.message!, /The job ended with status 4; it said: no such table/);
  });

  test('a registry that takes the connection and says nothing ends the deployment, the old release serving', async (t) => {
    const mute = createServer(() => {}).listen(0, '127.0.0.1');
    t.after(() => mute.close());
    await new Promise((resolve) => mute.once('listening', resolve));
    await rig.serve('patient', await rig.demo('one'), { networking: { internalPort: 8080, domains: ['patient.example.org'], healthCheck: check } });
    const { port } = mute.address() as { port: number };
    const end = await rig.update('patient', { container: { image: `127.0.0.1:${port}/never:1` } });
    assert.equal(end.status.state, 'failed', log(end.status));
    assert.match(end.status.message!, /cannot be pulled/);
    assert.equal((await caddy.get('patient.example.org', '/version')).body.trim(), 'one');
  });

  test('what somebody changed behind the hub is named field by field and repaired on request', async () => {
    const image = await rig.demo('one');
    await rig.serve('drifts', image, { container: { image, resources: { memory: 64 } }, networking: { internalPort: 8080, domains: ['drifts.example.org'], healthCheck: check } });
    const [id] = await running('drifts');
    await rig.engine.call('POST', `/containers/${id}/update`, { Memory: 128 << 20, MemorySwap: 256 << 20 });
    const now = await serviceThat(rig.hub, 'drifts', (s) => (s.status.drift?.length ?? 0) > 0, 90_000);
    assert.deepEqual(now.status.drift, [{ field: 'instances[1].container.resources.memory', wanted: '64', actual: '128' }]);
    const reply = await rig.hub.ok('POST', '/services/{serviceId}/repair', { params: { serviceId: 'drifts' } });
    assert.equal((await ended(rig.hub, reply.deployment_id!)).status.state, 'completed');
    await serviceThat(rig.hub, 'drifts', (s) => s.status.drift === undefined, 90_000);
    assert.equal((await rig.containersOf('drifts'))[0]!.HostConfig.Memory, 64 << 20);
  });
});
