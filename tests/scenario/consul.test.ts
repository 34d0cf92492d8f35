// What deployments tell a real Consul, and what becomes of it when Consul dies.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Consul, useConsul } from '../support/parts/consul.ts';
import { dockerOld } from '../support/parts/docker.ts';
import { Registry } from '../support/parts/registry.ts';
import { useRig } from '../support/rig.ts';
import { waitFor } from '../support/wait.ts';

const skip = Consul.skip || dockerOld.skip || Registry.skip;
const networking = { internalPort: 8080, healthCheck: { path: '/health', interval: 2 } };

describe('Consul as the service registry', { skip }, () => {
  const consul = useConsul();
  const rig = useRig(dockerOld, () => ({ env: { CONSUL_HTTP_ADDR: consul.address } }));
  const one = (name: string, ms = 30_000) =>
    waitFor(async () => ((found) => found.length === 1 && found[0]!)(await consul.instances(name, { passing: true })), { timeout: ms, what: `one passing instance of ${name}` });
  const registered = async () => (await rig.hub.ok('GET', '/registrations')).registrations.filter((x) => x.registered).map((x) => x.service);

  test('a deployed service is registered at its published address, and Consul finds it healthy', async () => {
    const service = await rig.serve('shop', await rig.demo('1'), { networking });
    const found = await one('shop');
    assert.equal(`${found.Address}:${found.Port}`, service.networking.address);
    assert.equal(service.monitoring.consulServiceId, found.ID);
    const checks = await consul.get<{ Type: string; Definition?: object }[]>('/health/checks/shop');
    assert.deepEqual(checks.map((c) => c.Type), ['http']);
    const answer = await fetch(`http://${found.Address}:${found.Port}/version`);
    assert.equal((await answer.text()).trim(), '1', 'who asks Consul reaches the service');
    assert.deepEqual(await registered(), ['shop']);
  });

  test('an update leaves exactly one, the new one', async () => {
    const before = await one('shop');
    const { monitoring_setup: setup } = await rig.hub.ok('PATCH', '/services/{serviceId}', { params: { serviceId: 'shop' }, body: { container: { image: await rig.demo('2') } } });
    assert.equal(setup.consul_registered, true);
    const now = await waitFor(async () => ((x) => x.length === 1 && x[0]!.ID !== before.ID && x[0]!)(await consul.instances('shop')), { timeout: 60_000, what: 'the new instance alone' });
    assert.equal((await (await fetch(`http://${now.Address}:${now.Port}/version`)).text()).trim(), '2');
  });

  test('Consul that was killed and has forgotten everything knows it again, and nobody acts', async () => {
    await consul.halt();
    await waitFor(async () => !(await rig.hub.ok('GET', '/registrations')).registry.reached, { timeout: 20_000, what: 'the hub to notice' });
    const deployed = await rig.deploy('cart', await rig.demo('1'), { networking });
    assert.equal(deployed.status.state, 'completed', 'a deployment does not need Consul');
    const { integrations } = (await rig.hub.ok('GET', '/system')).system;
    assert.equal(integrations.find((x) => x.name === 'consul')?.answering, false);
    await consul.resume();
    await one('shop');
    await one('cart');
  });

  test('what carries our mark and nobody wants goes, what is somebody else’s stays', async () => {
    const mine = await one('shop');
    const body = { Name: 'stranger', Address: '127.0.0.1', Port: 1 };
    await consul.put('/agent/service/register', { ...body, ID: 'left-behind', Meta: { hbcloud: mine.Meta.hbcloud } });
    await consul.put('/agent/service/register', { ...body, ID: 'not-ours', Meta: { hbcloud: 'another hub' } });
    const left = () => consul.instances('stranger').then((x) => x.map((i) => i.ID));
    await waitFor(async () => (await left()).length === 1, { timeout: 30_000, what: 'the orphan to go' });
    assert.deepEqual(await left(), ['not-ours']);
  });

  test('a removed service is deregistered', async () => {
    await rig.remove('shop');
    await waitFor(async () => (await consul.instances('shop')).length === 0, { what: 'shop to be gone' });
    assert.deepEqual(await registered(), ['cart']);
  });
});
