// An earlier release again, whole and by digest; refused beforehand, with the reason, when something of it is gone.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { dockerNew, dockerOld } from '../support/parts/docker.ts';
import { demoImage, importChanges } from '../support/images.ts';
import { Caddy, useCaddy } from '../support/parts/caddy.ts';
import { Registry } from '../support/parts/registry.ts';
import { ended, service, text, useRig, type Deployment } from '../support/rig.ts';
import { freePort } from '../support/wait.ts';

for (const flavour of [dockerOld, dockerNew]) {
  describe(`rollback on ${flavour.name}`, { skip: flavour.skip || Registry.skip }, () => {
    const rig = useRig(flavour, { env: { HBCLOUD_RELEASES_KEPT: '2' } });
    const params = (serviceId: string) => ({ params: { serviceId } });
    const secret = async (name: string, value: string) => rig.hub.ok('PUT', '/secrets/{secretName}', { params: { secretName: name }, body: { value } });

    async function rollback(name: string, release?: number): Promise<Deployment> {
      const { deployment_id } = (await rig.hub.ok('POST', '/services/{serviceId}/rollback', { ...params(name), body: { release } })) as { deployment_id: string };
      return ended(rig.hub, deployment_id);
    }
    const releases = async (name: string) => (await rig.hub.ok('GET', '/services/{serviceId}/releases', params(name))).releases;

    test('O11 digest, environment, port, route and mount return together, though the same tag has moved', async () => {
      const [portA, portB] = [await freePort(), await freePort()];
      const v1 = await rig.registry.push('app', 'live', demoImage({ version: 'v1' }));
      await rig.serve('app', v1.reference, {
        container: { image: v1.reference, environment: { A: '1' }, ports: [{ container: 8080, host: portA }], volumes: [{ source: 'app-one', target: '/one' }] },
        networking: { internalPort: 8080, domains: ['one.example.org'] },
      });
      const v2 = await rig.registry.push('app', 'live', demoImage({ version: 'v2' }));
      const change = { container: { environment: { A: '2', B: 'new' }, ports: [{ container: 8080, host: portB }], volumes: [{ source: 'app-two', target: '/two' }] }, networking: { domains: ['two.example.org'] } };
      assert.equal((await rig.update('app', change)).status.state, 'completed');
      assert.equal(await text(`http://127.0.0.1:${portB}`), 'v2');
      const end = await rollback('app');
      assert.equal(end.status.state, 'completed', end.status.message);
      assert.equal(end.deployment.trigger, 'rollback');
      assert.equal(await text(`http://127.0.0.1:${portA}`), 'v1');
      const [only, ...others] = await rig.containersOf('app');
      assert.deepEqual(others, []);
      assert.deepEqual(only!.Config.Env.filter((e) => /^[AB]=/.test(e)), ['A=1']);
      assert.deepEqual(only!.HostConfig.PortBindings['8080/tcp']!.map((p) => p.HostPort), [String(portA)]);
      const now = await service(rig.hub, 'app');
      assert.deepEqual([now.container.digest, now.container.volumes.map((v) => v.target), now.networking.domains], [v1.digest, ['/one'], ['one.example.org']]);
      const list = await releases('app');
      assert.deepEqual(list.map((r) => [r.number, r.digest, r.serving, r.pinned, r.rollback.possible]), [
        [3, v1.digest, true, true, false],
        [2, v2.digest, false, true, true],
        [1, v1.digest, false, false, true],
      ]);
    });

    test('refused beforehand when the image is gone from the node and its registry, or a secret is; nothing happens', async () => {
      await secret('token', 'first-value');
      const old = await rig.registry.push('gone', '1', demoImage({ version: 'gone1' }));
      await rig.serve('lost', old.reference, { container: { image: old.reference, environment: { TOKEN: { secret: 'token' } } } });
      for (const tag of ['2', '3']) {
        const image = await rig.push('gone', tag, demoImage({ version: `gone${tag}` }));
        assert.equal((await rig.update('lost', { container: { image, environment: { TOKEN: null } } })).status.state, 'completed');
      }
      assert.equal((await releases('lost'))[2]!.pinned, false, 'only two are kept');
      await rig.hub.ok('DELETE', '/secrets/{secretName}', { params: { secretName: 'token' } });
      const noSecret = await rig.hub.refused(409, 'POST', '/services/{serviceId}/rollback', { ...params('lost'), body: { release: 1 } });
      assert.match(noSecret.error.message, /Release 1 cannot be deployed again: .*token/);
      assert.deepEqual((await releases('lost')).map((r) => r.rollback.possible), [false, true, false]);
      const before = (await rig.hub.ok('GET', '/deployments', { query: { service_id: 'lost' } })).deployments.length;
      await rig.registry.forget('gone', (await releases('lost'))[1]!.digest!);
      for (const tag of [`${rig.registry.address}/gone:2`, 'hbcloud.local/kept:lost-2']) await rig.engine.request('DELETE', `/images/${tag}?force=1`);
      const noImage = await rig.hub.refused(409, 'POST', '/services/{serviceId}/rollback', params('lost'));
      assert.match(noImage.error.message, /Release 2 cannot be deployed again: its image .* is neither on the node nor in its registry/);
      assert.equal((await rig.hub.ok('GET', '/deployments', { query: { service_id: 'lost' } })).deployments.length, before);
      assert.equal(await text((await service(rig.hub, 'lost')).networking.url), 'gone3');
    });

    test('an image that no registry has is known by its id, and its release returns', async () => {
      for (const version of ['home1', 'home2']) {
        const image = demoImage({ version });
        await rig.engine.importImage('home-made:live', image.rootfs, importChanges(image));
        if (version === 'home1') await rig.serve('homely', 'home-made:live');
        else assert.equal((await rig.update('homely', { labels: { turn: '2' } })).status.state, 'completed');
        assert.equal(await text((await service(rig.hub, 'homely')).networking.url), version);
      }
      const end = await rollback('homely');
      assert.equal(end.status.state, 'completed', end.status.message);
      assert.equal(await text((await service(rig.hub, 'homely')).networking.url), 'home1');
    });

    test('there is nothing to go back to after one release, and no release of a wrong number', async () => {
      await rig.serve('fresh', await rig.demo('only'));
      assert.match((await rig.hub.refused(409, 'POST', '/services/{serviceId}/rollback', params('fresh'))).error.message, /nothing to go back to/);
      await rig.hub.refused(404, 'POST', '/services/{serviceId}/rollback', { ...params('fresh'), body: { release: 9 } });
    });
  });
}

describe('rollback behind Caddy', { skip: dockerOld.skip || Registry.skip || Caddy.skip }, () => {
  const caddy = useCaddy();
  const rig = useRig(dockerOld, () => ({ env: caddy.hubEnv }));
  const params = { params: { serviceId: 'shop' } };
  const check = { path: '/health', interval: 1, startPeriod: 5 };
  const answer = async (domain: string) => (await caddy.get(domain, '/version')).body.trim();

  /** Whether the plan says that the proxy's configuration changes. */
  async function reloads(method: string, path: string, body?: unknown, query = {}): Promise<boolean> {
    const reply = await rig.hub.raw(method, `/v1/services${path}`, { body, query: { plan: true, ...query } });
    assert.equal(reply.status, 200, JSON.stringify(reply.body));
    return reply.body.plan.gateway.reload;
  }

  test('O11 the route returns with its release; a plan says when the proxy reloads; a removed service has no route', async () => {
    const [one, two] = [await rig.demo('one'), await rig.demo('two')];
    const networking = { internalPort: 8080, domains: ['one.example.org'], healthCheck: check };
    assert.equal(await reloads('POST', '', { name: 'shop', container: { image: one }, networking }), true);
    await rig.serve('shop', one, { networking });
    assert.equal(await answer('one.example.org'), 'one');
    assert.equal(await reloads('PATCH', '/shop', { container: { image: two } }), false, 'a switch is no reload');
    const change = { container: { image: two }, networking: { domains: ['two.example.org'] } };
    assert.equal(await reloads('PATCH', '/shop', change), true);
    assert.equal((await rig.update('shop', change)).status.state, 'completed');
    assert.deepEqual([await answer('two.example.org'), (await caddy.get('one.example.org', '/version')).status], ['two', 404]);
    const { deployment_id } = (await rig.hub.ok('POST', '/services/{serviceId}/rollback', params)) as { deployment_id: string };
    assert.equal((await ended(rig.hub, deployment_id)).status.state, 'completed');
    assert.deepEqual([await answer('one.example.org'), (await caddy.get('two.example.org', '/version')).status], ['one', 404]);
    assert.equal(await reloads('DELETE', '/shop', undefined, { confirm: 'shop' }), true);
    await rig.remove('shop');
    assert.equal((await caddy.get('one.example.org', '/version')).status, 404);
  });
});
