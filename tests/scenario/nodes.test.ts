// Nodes beyond the hub's own: each a network namespace with its own engine. Seen, followed, lost, fenced.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Hub } from '../support/hub.ts';
import { demoImage } from '../support/images.ts';
import { NodeSpace } from '../support/netns.ts';
import { dockerOld } from '../support/parts/docker.ts';
import { waitFor } from '../support/wait.ts';

describe('a node of its own', { skip: dockerOld.skip }, () => {
  let hub: Hub, attic: NodeSpace;
  const node = async (nodeId: string) => (await hub.ok('GET', '/infrastructure/nodes/{nodeId}', { params: { nodeId } })).node;
  const nodeIs = (name: string, status: string) => waitFor(async () => (await node(name)).status === status, { timeout: 30_000, what: `${name} ${status}` });
  const services = async (service: string) => (await hub.ok('GET', '/services', { query: { service } })).services;

  before(async () => {
    attic = await NodeSpace.start(dockerOld);
    hub = await Hub.start({ env: { HBCLOUD_NODES_LOST_AFTER: '3s' } });
  });
  after(async () => {
    await hub?.discard();
    await attic?.stop();
  });

  test('is asked for its engine first, and the refusal says how to mend it', async () => {
    const body = { name: 'attic', type: 'spoke', provider: 'local', engine: { kind: 'local', url: 'tcp://127.0.0.1:9' } } as const;
    const { error } = await hub.refused(503, 'POST', '/infrastructure/nodes', { query: { check: true }, body });
    assert.match(error.message, /Is the engine running, and does it listen there\?/);
    await hub.ok('POST', '/infrastructure/nodes', { query: { check: true }, body: { ...body, engine: attic.config, labels: { rack: 'a' } } });
    await nodeIs('attic', 'active');
    const seen = await node('attic');
    assert.equal(seen.metadata.engineName, 'docker');
    assert.ok(seen.resources.cpu! > 0 && seen.resources.memory! > 0);
  });

  test('shows its containers as services, live, and reaches its logs and actions', async () => {
    const id = await attic.engine.run(await attic.give(demoImage({ version: 'n1' }), 'demo:n1'), {}, 'stranger');
    const running = async () => (await services('stranger')).filter((s) => s.container.state === 'running');
    const [found] = await waitFor(async () => (await running()).length > 0 && running(), { what: 'the container' });
    assert.equal(found!.nodeId, (await node('attic')).id);
    assert.deepEqual([found!.container.id, found!.ordinal, found!.instances], [id, 1, { wanted: 1, running: 1, healthy: 0 }]);
    const { service } = await hub.ok('POST', '/services/{serviceId}/stop', { params: { serviceId: 'stranger' }, timeout: 30_000 });
    assert.equal(service.status.deployment, 'stopped');
    await hub.ok('POST', '/services/{serviceId}/start', { params: { serviceId: 'stranger' } });
  });

  test('O40 is degraded when it falls silent, lost after the time for it, and whole again when it is back', async () => {
    const events = await hub.events({ query: { types: 'node.*' } });
    attic.unplug();
    await nodeIs('attic', 'offline');
    assert.ok(events.seen.some((e) => e.type === 'node.lost' && e.data.data.name === 'attic'), 'an event says so');
    const [lost] = await services('stranger');
    assert.deepEqual([lost!.container.state, lost!.status.health, lost!.status.message], ['unreachable', 'unknown', 'Its node attic does not answer.']);
    attic.replug();
    await nodeIs('attic', 'active');
    await waitFor(async () => (await services('stranger'))[0]?.container.state === 'running', { what: 'the container again' });
    events.close();
  });

  test('is reached anew where its owner says that it is now', async () => {
    const move = (engine: object) => hub.ok('PATCH', '/infrastructure/nodes/{nodeId}', { params: { nodeId: 'attic' }, body: { engine } as never });
    await move({ kind: 'local', url: 'tcp://127.0.0.1:9' });
    await nodeIs('attic', 'degraded');
    await move(attic.config);
    await nodeIs('attic', 'active');
    const { node: none } = await move({ kind: 'none' });
    assert.equal(none.status, 'offline', 'without an engine nothing of it is seen');
    await move(attic.config);
    await nodeIs('attic', 'active');
  });

  test('goes when it is removed, once nothing that is managed lives there', async () => {
    await hub.ok('POST', '/services/{serviceId}/adopt', { params: { serviceId: 'stranger' } });
    const { error } = await hub.refused(409, 'DELETE', '/infrastructure/nodes/{nodeId}', { params: { nodeId: 'attic' } });
    assert.match(error.message, /1 managed service lives on this node \(stranger\)/);
    await hub.ok('DELETE', '/services/{serviceId}', { params: { serviceId: 'stranger' }, query: { confirm: 'stranger' }, timeout: 30_000 });
    await hub.ok('DELETE', '/infrastructure/nodes/{nodeId}', { params: { nodeId: 'attic' } });
    await hub.refused(404, 'GET', '/infrastructure/nodes/{nodeId}', { params: { nodeId: 'attic' } });
    await hub.stop();
  });
});
