// The platform's own API tests as they were first written, and what every list, read and write promises.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Hub } from '../support/hub.ts';

const five = { name: 'test-node-01', type: 'spoke', provider: 'digitalocean', region: 'eu-west', resources: { cpu: 1, memory: 2, storage: 25, bandwidth: 1000 } } as const;

describe('the API, node by node', () => {
  let hub: Hub;
  before(async () => (hub = await Hub.start()));
  after(async () => {
    await hub.stop();
    await hub.discard();
  });
  const create = (name: string, more: object = {}) => hub.ok('POST', '/infrastructure/nodes', { body: { ...five, name, ...more } });

  test('GET /infrastructure/nodes returns nodes with monitoring status', async () => {
    const { nodes, metadata } = await hub.ok('GET', '/infrastructure/nodes');
    assert.ok(Array.isArray(nodes) && nodes.length >= 1, 'the machine it runs on is there');
    for (const node of nodes) assert.ok('datadogHost' in node.monitoring);
    assert.ok(metadata.monitoring_integrated > 0);
  });

  test('POST /infrastructure/nodes creates a node with monitoring integration', async () => {
    const reply = await hub.api('POST', '/infrastructure/nodes', { body: five });
    assert.equal(reply.status, 201);
    assert.equal(reply.body.node.name, 'test-node-01');
    assert.notEqual(reply.body.node.monitoring.datadogHost, undefined);
    assert.deepEqual([reply.body.node.status, reply.body.node.monitoring.lastHealthCheck], ['offline', null], 'nothing of it was seen');
    const again = await hub.raw('GET', reply.headers.get('location')!);
    assert.deepEqual(again.body.node, reply.body.node);
  });

  test('a node is read by id and name, changed, labelled, and forgotten', async () => {
    const { node } = await create('changing', { labels: { room: 'attic', shelf: '1' } });
    const byName = await hub.ok('GET', '/infrastructure/nodes/{nodeId}', { params: { nodeId: 'changing' } });
    assert.equal(byName.node.id, node.id);
    const params = { nodeId: node.id };
    const body = { status: 'maintenance', labels: { room: 'cellar', shelf: null }, region: null } as const;
    const changed = (await hub.ok('PATCH', '/infrastructure/nodes/{nodeId}', { params, body })).node;
    assert.deepEqual([changed.status, changed.labels, changed.region], ['maintenance', { room: 'cellar' }, null]);
    await hub.ok('DELETE', '/infrastructure/nodes/{nodeId}', { params });
    await hub.refused(404, 'GET', '/infrastructure/nodes/{nodeId}', { params });
  });

  test("a taken name is 409, and so is forgetting the hub's own node", async () => {
    await create('taken');
    const refusal = await hub.refused(409, 'POST', '/infrastructure/nodes', { body: { ...five, name: 'taken' } });
    assert.ok('/name' in refusal.error.details!);
    const { hubNodeId } = (await hub.ok('GET', '/system')).system;
    assert.match((await hub.refused(409, 'DELETE', '/infrastructure/nodes/{nodeId}', { params: { nodeId: hubNodeId } })).error.message, /machine that hbcloud runs on/);
  });

  test('filters narrow the list and its aggregates', async () => {
    await create('azure-one', { provider: 'azure', labels: { tier: 'a', zone: '1' } });
    await create('azure-two', { provider: 'azure', labels: { tier: 'a', zone: '2' } });
    const names = async (query: object) => (await hub.ok('GET', '/infrastructure/nodes', { query })).nodes.map((n) => n.name);
    assert.deepEqual(await names({ provider: 'azure' }), ['azure-one', 'azure-two']);
    assert.deepEqual(await names({ label: ['tier=a', 'zone=2'] }), ['azure-two']);
    assert.deepEqual(await names({ type: 'hub', status: 'offline' }), []);
    assert.equal((await hub.ok('GET', '/infrastructure/nodes', { query: { provider: 'azure', limit: 1 } })).metadata.total, 2);
  });

  test('pages by cursor give each entity once, also while others come and go', async () => {
    for (let i = 0; i < 9; i++) await create(`page-${i}`, { provider: 'hetzner' });
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await hub.ok('GET', '/infrastructure/nodes', { query: { provider: 'hetzner', limit: 2, cursor } });
      seen.push(...page.nodes.map((n) => n.name));
      if (seen.length === 4) await hub.ok('DELETE', '/infrastructure/nodes/{nodeId}', { params: { nodeId: 'page-1' } });
      cursor = page.next;
    } while (cursor !== undefined);
    assert.deepEqual(seen, Array.from({ length: 9 }, (_, i) => `page-${i}`));
    for (const bad of ['AAAA', '!!', 'x'.repeat(2000)]) await hub.refused(400, 'GET', '/infrastructure/nodes', { query: { cursor: bad } });
  });

  test('O28 If-None-Match compares weakly: weak forms, lists, commas inside a tag, star; GET and HEAD', async () => {
    const path = '/v1/infrastructure/nodes/changing-not';
    await create('changing-not');
    const tag = (await hub.raw('GET', path)).headers.get('etag')!;
    const plain = tag.replace(/^W\//, '');
    for (const sent of [tag, plain, `W/${plain}`, `"a,b", W/"c", ${plain}`, '*', `"x",${plain},"y"`]) {
      for (const method of ['GET', 'HEAD']) {
        const reply = await hub.raw(method, path, { headers: { 'if-none-match': sent } });
        assert.deepEqual([reply.status, reply.body], [304, ''], `${method} ${sent}`);
      }
    }
    assert.equal((await hub.raw('GET', path, { headers: { 'if-none-match': '"other"' } })).status, 200);
  });

  test('If-Match compares strongly and 412 changes nothing', async () => {
    await create('guarded');
    const path = '/v1/infrastructure/nodes/guarded';
    const tag = (await hub.raw('GET', path)).headers.get('etag')!;
    const patch = (match: string) => hub.raw('PATCH', path, { body: { labels: { by: 'x' } }, headers: { 'if-match': match } });
    for (const bad of ['"other"', `W/${tag.replace(/^W\//, '')}`]) assert.equal((await patch(bad)).status, 412, bad);
    assert.deepEqual((await hub.raw('GET', path)).body.node.labels, {});
    assert.equal((await patch(tag)).status, 200);
    assert.equal((await patch(tag)).status, 412, 'it has changed since');
    assert.equal((await patch('*')).status, 200);
  });

  test('Idempotency-Key: the first answer again, once done; another body is 422; keys belong to their callers', async () => {
    const post = (key: string, name: string, apiKey = hub.key) => hub.raw('POST', '/v1/infrastructure/nodes', { body: { ...five, name }, headers: { 'idempotency-key': key }, key: apiKey });
    const [first, second] = [await post('k1', 'once'), await post('k1', 'once')];
    assert.deepEqual([first.status, second.status, second.body], [201, 201, first.body]);
    assert.equal((await post('k1', 'twice')).status, 422);
    const other = await hub.ok('POST', '/keys', { body: { name: 'other', role: 'operator' } });
    assert.equal((await post('k1', 'others', other.secret)).status, 201);
    const storm = await Promise.all(Array.from({ length: 8 }, () => post('k2', 'storm')));
    const made = new Set(storm.filter((r) => r.status === 201).map((r) => r.body.node.id));
    assert.equal(made.size, 1, 'done once');
    assert.ok(storm.every((r) => [201, 409].includes(r.status)), JSON.stringify(storm.map((r) => r.status)));
  });
});
