// A plan says what a request would do, field by field, and does nothing; roles, literal values and scaling beside it.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cli } from '../support/hub.ts';
import { dockerOld } from '../support/parts/docker.ts';
import { Registry } from '../support/parts/registry.ts';
import { service, useRig } from '../support/rig.ts';

interface Plan {
  action: string;
  changes: { field: string; before: string | null; after: string | null }[];
  containers: { instance: number; container: string | null; action: string }[];
  strategy: { type: string | null; reason: string | null };
  gateway: { reload: boolean; reason: string };
  notes: string[];
}

describe('plan', { skip: dockerOld.skip || Registry.skip }, () => {
  const rig = useRig(dockerOld);

  async function plan(method: string, path: string, body?: unknown, query: Record<string, unknown> = {}): Promise<Plan> {
    const reply = await rig.hub.raw(method, `/v1/services${path}`, { body, query: { plan: true, ...query } });
    assert.equal(reply.status, 200, JSON.stringify(reply.body));
    return reply.body.plan;
  }
  const state = async () => JSON.stringify([(await rig.hub.ok('GET', '/deployments')).deployments.length, (await rig.engine.containers()).map((c) => [c.Id, c.State])]);

  test('each request tells its plan and changes nothing; values of variables are masked', async () => {
    const [one, two] = [await rig.demo('one'), await rig.demo('two')];
    const body = { name: 'planned', container: { image: one, environment: { TOKEN: 'c4n4ry-plan' } }, networking: { internalPort: 8080 } };
    const first = await plan('POST', '', body);
    assert.deepEqual([first.action, first.containers[0]!.action, first.strategy.type], ['create', 'create', null]);
    await rig.hub.refused(404, 'GET', '/services/{serviceId}', { params: { serviceId: 'planned' } });
    await rig.serve('planned', one, body as never);
    const id = (await service(rig.hub, 'planned')).container.id;
    const before = await state();
    const change = await plan('PATCH', '/planned', { container: { image: two, environment: { TOKEN: 'other-c4n4ry', EXTRA: 'x' } }, labels: { room: 'attic' } });
    assert.equal(change.action, 'update');
    assert.deepEqual(change.changes, [
      { field: 'container.image', before: one, after: two },
      { field: 'labels.room', before: null, after: 'attic' },
      { field: 'container.environment.TOKEN', before: '********', after: '********' },
      { field: 'container.environment.EXTRA', before: null, after: '********' },
    ]);
    assert.deepEqual(change.containers.map((c) => [c.instance, c.container, c.action]), [[1, id, 'replace']]);
    assert.deepEqual([change.strategy.type, change.gateway.reload], ['blue-green', false]);
    assert.ok(!JSON.stringify([first, change]).includes('c4n4ry'));
    const fixed = await plan('PATCH', '/planned', { container: { name: 'the-one' } });
    assert.deepEqual([fixed.strategy.type, /the-one is fixed/.test(fixed.strategy.reason!), fixed.notes.length], ['recreate', true, 1]);
    const routed = await plan('PATCH', '/planned', { networking: { domains: ['planned.example.org'] } });
    assert.deepEqual([routed.gateway.reload, routed.notes], [false, ['The domains lead nowhere while no proxy is configured.']]);
    assert.deepEqual((await plan('PATCH', '/planned', { instances: 3 })).containers.map((c) => c.action), ['keep', 'create', 'create']);
    assert.equal((await plan('PATCH', '/planned', { instances: 3 })).action, 'scale');
    assert.deepEqual((await plan('POST', '/planned/stop')).containers.map((c) => c.action), ['stop']);
    assert.deepEqual((await plan('POST', '/planned/start')).containers.map((c) => c.action), ['keep']);
    assert.deepEqual((await plan('DELETE', '/planned', undefined, { confirm: 'planned' })).containers.map((c) => c.action), ['remove']);
    assert.equal(await state(), before);
  });

  test('what reaches beyond the container needs the role admin, each field named', async () => {
    const { secret } = await rig.hub.ok('POST', '/keys', { body: { name: 'op', role: 'operator' } });
    const image = await rig.demo('one');
    const container = { image, privileged: true, pidMode: 'host', volumes: [{ source: '/var/run//docker.sock', target: '/s' }, { source: '/run/./', target: '/r' }], ports: [{ container: 80, address: 'any' }], capAdd: ['SYS_ADMIN'] };
    const body = { name: 'grabby', container, networking: { internalPort: 8080 } } as never;
    const { error } = await rig.hub.refused(403, 'POST', '/services', { body, key: secret });
    assert.deepEqual(Object.keys(error.details!).sort(), ['/container/capAdd/0', '/container/pidMode', '/container/ports/0', '/container/privileged', '/container/volumes/0', '/container/volumes/1']);
    assert.equal((await plan('POST', '', body)).action, 'create', 'an admin may');
    await rig.hub.ok('POST', '/services', { body: { name: 'modest', container: { image, securityOpt: ['no-new-privileges'] }, networking: { internalPort: 8080 } } as never, key: secret });
  });

  test('O17 values are literal by API, file and command line: dollars, quotes, a bcrypt hash', async (t) => {
    const image = await rig.demo('one');
    const values = { DOLLARS: 'pa$$word', BARE: 'abc$def', BRACED: '${HOME}', BCRYPT: '$2y$10$abcdefghijklmnopqrstuvABCDEFGHIJKLMNOPQRSTUVWXYZ01234', QUOTES: `'single' "double"` };
    const inside = async (name: string) => Object.fromEntries((await rig.containersOf(name))[0]!.Config.Env.map((e) => [e.slice(0, e.indexOf('=')), e.slice(e.indexOf('=') + 1)]));
    await rig.serve('by-api', image, { container: { image, environment: values } });
    const file = join(rig.hub.dataDir, 'service.yaml');
    const quoted = `container:\n  image: ${image}\n  environment:\n    DOLLARS: pa$$word\n    BARE: "abc$def"\n    BRACED: '\${HOME}'\n    BCRYPT: '${values.BCRYPT}'\n    QUOTES: "'single' \\"double\\""\n`;
    writeFileSync(file, `name: by-file\n${quoted}networking: { internalPort: 8080 }\n`);
    for (const [name, args] of [['by-file', ['-f', file]], ['by-options', ['by-options', '--image', image, '--port', '8080', ...Object.entries(values).flatMap(([k, v]) => ['-e', `${k}=${v}`])]]] as const) {
      const run = await cli(['services', 'deploy', ...args], { hub: rig.hub });
      assert.equal(run.code, 0, run.stderr);
      t.diagnostic(name);
    }
    for (const name of ['by-api', 'by-file', 'by-options']) for (const [key, value] of Object.entries(values)) assert.equal((await inside(name))[key], value, `${name} ${key}`);
  });

  test('scaling adds and takes away instances and touches none that stays; a removal is on record', async () => {
    await rig.serve('scaled', await rig.demo('one'));
    const first = (await rig.containersOf('scaled'))[0]!.Id;
    const up = await rig.update('scaled', { instances: 3 });
    assert.deepEqual([up.status.state, up.changes.type], ['completed', 'scale'], up.status.message);
    assert.equal((await rig.containersOf('scaled')).length, 3);
    assert.ok((await rig.containersOf('scaled')).some((c) => c.Id === first), 'the first is untouched');
    assert.equal((await rig.update('scaled', { instances: 1 })).status.state, 'completed');
    assert.deepEqual((await rig.containersOf('scaled')).map((c) => c.Id), [first]);
    await rig.remove('scaled');
    const { deployments } = await rig.hub.ok('GET', '/deployments', { query: { service_id: 'scaled' } });
    assert.deepEqual([deployments[0]!.changes.type, deployments[0]!.changes.toVersion, deployments[0]!.status.state], ['delete', null, 'completed']);
  });
});
