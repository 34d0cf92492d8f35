// A service over several nodes: placed by labels, reached there, and answered once when one of them dies and returns.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Hub } from '../support/hub.ts';
import { demoImage } from '../support/images.ts';
import { giveImage, NodeSpace } from '../support/netns.ts';
import { dockerOld, type Engine } from '../support/parts/docker.ts';
import { ended, service, serviceThat, text, type Service } from '../support/rig.ts';
import { waitFor } from '../support/wait.ts';

const lostAfter = 3000;

describe('a service on several nodes', { skip: dockerOld.skip }, () => {
  let hub: Hub, own: Engine, image: string;
  const spaces: Record<string, NodeSpace> = {};
  const node = async (nodeId: string) => (await hub.ok('GET', '/infrastructure/nodes/{nodeId}', { params: { nodeId } })).node;
  const nodeOf = async (s: Service): Promise<string> => (await node(s.nodeId)).name;
  const instances = async (name: string): Promise<Service[]> => (await hub.ok('GET', '/services', { query: { service: name } })).services;
  const containers = async (engine: Engine, name: string) => (await engine.containers()).filter((c) => c.Labels['hbcloud.service'] === name);
  const deploy = async (body: object) => {
    const { deployment_id } = await hub.ok('POST', '/services', { body: body as never });
    const end = await ended(hub, deployment_id);
    assert.equal(end.status.state, 'completed', JSON.stringify(end.status));
    return end;
  };
  const nodeIs = (name: string, status: string) => waitFor(async () => (await node(name)).status === status, { timeout: 30_000, what: `${name} ${status}` });

  before(async () => {
    own = await dockerOld.start();
    for (const name of ['attic', 'cellar']) spaces[name] = await NodeSpace.start(dockerOld);
    hub = await Hub.start({ dockerHost: own.host, env: { HBCLOUD_NODES_LOST_AFTER: `${lostAfter}ms` } });
    const demo = demoImage({ version: 'n1' });
    for (const engine of [own, ...Object.values(spaces).map((s) => s.engine)]) image = await giveImage(engine, demo, 'demo:n1');
    for (const [name, space] of Object.entries(spaces)) {
      const body = { name, type: 'spoke', provider: 'local', labels: { cluster: 'home' }, engine: space.config } as const;
      await hub.ok('POST', '/infrastructure/nodes', { body });
      await nodeIs(name, 'active');
    }
  });
  after(async () => {
    await hub?.discard();
    await Promise.all([own?.stop(), ...Object.values(spaces).map((s) => s.stop())]);
  });

  const container = () => ({ image, ports: [] });
  const quick = { internalPort: 8080, healthCheck: { path: '/health', interval: 1, timeout: 1, retries: 2 } };

  test('goes to the node that is named, and answers there on an address that this machine reaches', async () => {
    await deploy({ name: 'named', nodeId: 'attic', container: container(), networking: quick });
    const now = await service(hub, 'named');
    assert.equal(await nodeOf(now), 'attic');
    assert.equal(new URL(now.networking.url!).hostname, spaces.attic!.address);
    assert.equal(await text(now.networking.url), 'n1');
    assert.equal((await containers(own, 'named')).length, 0);
  });

  test('spreads its instances over the nodes that carry the labels, and counts them on each', async () => {
    await deploy({ name: 'spread', instances: 2, placement: { labels: { cluster: 'home' } }, container: container(), networking: quick });
    const list = await instances('spread');
    assert.deepEqual((await Promise.all(list.map(nodeOf))).sort(), ['attic', 'cellar']);
    assert.deepEqual(list.map((s) => s.ordinal), [1, 2]);
    assert.deepEqual(list.map((s) => [s.instances.wanted, s.instances.running]), [[2, 2], [2, 2]]);
    assert.equal((await service(hub, 'spread')).ordinal, 1, 'the name answers the first');
    await hub.ok('POST', '/services/{serviceId}/stop', { params: { serviceId: 'spread' }, timeout: 40_000 });
    assert.deepEqual((await instances('spread')).map((s) => s.status.deployment), ['stopped', 'stopped']);
    await hub.ok('DELETE', '/services/{serviceId}', { params: { serviceId: 'spread' }, query: { confirm: 'spread' }, timeout: 40_000 });
    assert.equal((await instances('spread')).length, 0);
    for (const { engine } of Object.values(spaces)) assert.equal((await containers(engine, 'spread')).length, 0);
  });

  test('is deployed on another node when its own dies, once, within the bound; what is left there goes when the node returns', async () => {
    await deploy({ name: 'mobile', placement: { labels: { cluster: 'home' } }, container: container(), networking: quick });
    const before = await service(hub, 'mobile');
    const from = await nodeOf(before), to = from === 'attic' ? 'cellar' : 'attic';
    await deploy({ name: 'bound', nodeId: from, container: container(), networking: quick });
    await deploy({ name: 'pair', instances: 2, placement: { labels: { cluster: 'home' } }, container: container(), networking: quick });
    const stays = (await instances('pair')).find((s) => s.nodeId !== before.nodeId)!;
    spaces[from]!.unplug();
    const began = Date.now();
    const moved = await serviceThat(hub, 'mobile', (s) => s.nodeId !== before.nodeId && s.status.deployment === 'running', lostAfter + 15_000);
    assert.ok(Date.now() - began < lostAfter + 12_000, `it took ${Date.now() - began} ms`);
    assert.equal(await nodeOf(moved), to);
    assert.equal(await text(moved.networking.url), 'n1');
    const { deployments } = await hub.ok('GET', '/deployments', { query: { service_id: 'mobile' } });
    const mine = deployments.filter((d) => d.deployment.initiatedBy === 'hbcloud');
    assert.equal(mine.length, 1, 'it moved once');
    assert.ok(mine[0]!.status.logs.some((l) => l.includes(`Node ${from} does not answer`)));
    await serviceThat(hub, 'pair', (s) => s.instances.running === 2);
    const pair = await instances('pair');
    assert.deepEqual(await Promise.all(pair.map(nodeOf)), [to, to], 'the one that was lost is beside the other');
    assert.equal(pair.find((s) => s.id === stays.id)!.container.id, stays.container.id, 'which was left alone');
    assert.equal((await service(hub, 'bound')).status.message, `Its node ${from} does not answer.`, 'what is bound to its node waits');
    assert.equal((await containers(spaces[from]!.engine, 'mobile')).length, 1, 'the old one runs on out there');
    spaces[from]!.replug();
    await nodeIs(from, 'active');
    assert.equal((await containers(spaces[from]!.engine, 'mobile')).length, 0, 'and is gone before its node counts');
    assert.equal(await text((await service(hub, 'mobile')).networking.url), 'n1');
    await serviceThat(hub, 'bound', (s) => s.status.deployment === 'running' && s.status.health === 'healthy');
  });

  test('is given up with a node that is lost, when that is asked for, and leaves nothing there when the node returns', async () => {
    spaces.attic!.unplug();
    await nodeIs('attic', 'offline');
    const removal = { params: { serviceId: 'named' }, query: { confirm: 'named' }, timeout: 30_000 };
    const { error } = await hub.refused(503, 'DELETE', '/services/{serviceId}', removal);
    assert.match(error.message, /Node attic, .* does not answer\..* give up/);
    await hub.ok('DELETE', '/services/{serviceId}', { ...removal, query: { ...removal.query, abandon: true } });
    assert.equal((await containers(spaces.attic!.engine, 'named')).length, 1);
    spaces.attic!.replug();
    await nodeIs('attic', 'active');
    assert.equal((await containers(spaces.attic!.engine, 'named')).length, 0);
    await hub.stop();
  });
});
