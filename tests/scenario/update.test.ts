// A service's further deployments: the new container beside the old, and the old still serving when the new one fails.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { demoImage, importChanges, shellImage, stay } from '../support/images.ts';
import { engines } from '../support/parts/docker.ts';
import { Registry } from '../support/parts/registry.ts';
import { deployment, ended, service, serviceThat, text, useRig, type Rig } from '../support/rig.ts';
import { freePort, waitFor } from '../support/wait.ts';

const hasty = { path: '/health', interval: 1, timeout: 1, retries: 1, startPeriod: 0 };
const alive = { command: ['/bin/true'], interval: 1, startPeriod: 1 };

/** Asks the service all the while, at whatever address it has; gives what it answered, in order. */
async function asked(rig: Rig, name: string, while_: Promise<unknown>): Promise<string[]> {
  const answers: string[] = [];
  let over = false;
  void while_.finally(() => (over = true));
  do {
    const { url } = (await service(rig.hub, name)).networking;
    answers.push(await text(url).catch(async (error) => ((await service(rig.hub, name)).networking.url === url ? String(error) : text((await service(rig.hub, name)).networking.url))));
  } while (!over);
  return answers.filter((each, i) => each !== answers[i - 1]);
}

for (const flavour of engines) {
  describe(`update on ${flavour.name}`, { skip: flavour.skip || Registry.skip }, () => {
    const rig = useRig(flavour);

    test('the new container starts beside the old, is checked, then the old goes; somebody always answers', async () => {
      const [one, two] = [await rig.demo('one'), await rig.demo('two')];
      await rig.serve('beside', one);
      const { deployment_id } = await rig.hub.ok('PATCH', '/services/{serviceId}', {
        params: { serviceId: 'beside' },
        body: { container: { image: two, environment: { START_DELAY_MS: '1000' } } },
      });
      const both = waitFor(async () => (await deployment(rig.hub, deployment_id)).status.step === 'check' && (await rig.containersOf('beside')).filter((c) => c.State.Running).length === 2);
      const end = ended(rig.hub, deployment_id);
      assert.deepEqual(await asked(rig, 'beside', end), ['one', 'two']);
      assert.ok(await both);
      const { changes, status } = await end;
      assert.equal(status.state, 'completed');
      assert.deepEqual([changes.type, changes.imageChanges?.oldImage, changes.imageChanges?.newImage], ['update', one, two]);
      assert.equal((await rig.containersOf('beside')).length, 1);
    });

    test('an update that fails leaves the old one serving, says why and leaves nothing behind', async () => {
      const image = await rig.demo('good');
      const before = await rig.serve('steady', image, { networking: { internalPort: 8080, healthCheck: hasty } });
      const body = { container: { image: await rig.demo('bad'), environment: { FAIL_HEALTH: '1' } } };
      const { deployment_id } = await rig.hub.ok('PATCH', '/services/{serviceId}', { params: { serviceId: 'steady' }, body });
      const end = ended(rig.hub, deployment_id);
      assert.deepEqual(await asked(rig, 'steady', end), ['good']);
      assert.equal((await end).status.state, 'rolled_back');
      assert.match((await end).status.message!, /answered 503/);
      const now = await service(rig.hub, 'steady');
      assert.deepEqual([now.container.id, now.status.deployment, now.status.health], [before.container.id, 'running', 'healthy']);
      assert.equal(`${now.container.image}:${now.container.tag}`, image);
      assert.equal((await rig.containersOf('steady')).length, 1);
      assert.equal((await rig.update('steady', { container: { image: body.container.image } })).status.state, 'completed', 'a failed change is not kept');
      assert.equal(await text((await service(rig.hub, 'steady')).networking.url), 'bad');
    });

    test('with a fixed host port the old stops first, and starts again when the new one fails', async () => {
      const port = await freePort();
      const image = await rig.demo('one');
      const ports = [{ container: 8080, host: port }];
      await rig.serve('fixed', image, { container: { image, ports }, networking: { internalPort: 8080, healthCheck: hasty } });
      assert.equal((await rig.update('fixed', { container: { image: await rig.demo('two') } })).status.state, 'completed');
      assert.equal(await text(`http://127.0.0.1:${port}`), 'two');
      const end = await rig.update('fixed', { container: { image, environment: { CRASH: '1' } } });
      assert.match(end.status.message!, /told to crash/);
      assert.equal(await text(`http://127.0.0.1:${port}`), 'two');
      const now = await serviceThat(rig.hub, 'fixed', (s) => s.status.health === 'healthy');
      assert.deepEqual([now.status.deployment, now.networking.url], ['running', `http://127.0.0.1:${port}`]);
    });

    test('a volume survives an update and a removal, and goes only when it is named', async () => {
      const script = `[ -e /keep/mark ] && echo kept || echo fresh; echo mark >/keep/mark; ${stay}`;
      const image = await rig.push('keeper', '1', shellImage(script));
      const more = { container: { image, volumes: [{ source: 'keeper-data', target: '/keep' }] }, networking: { internalPort: 1, healthCheck: alive } };
      await rig.serve('keeper', image, more);
      assert.equal((await rig.logs('keeper')).toString(), 'fresh\n');
      assert.equal((await rig.update('keeper', { container: { environment: { A: '1' } } })).status.state, 'completed');
      assert.equal((await rig.logs('keeper')).toString(), 'kept\n');
      await rig.remove('keeper');
      await rig.serve('keeper', image, more);
      assert.equal((await rig.logs('keeper')).toString(), 'kept\n');
      await rig.hub.refused(400, 'DELETE', '/services/{serviceId}', { params: { serviceId: 'keeper' }, query: { confirm: 'keeper', volumes: ['other-data'] } });
      await rig.remove('keeper', ['keeper-data']);
      await waitFor(async () => (await rig.engine.request('GET', '/volumes/keeper-data')).status === 404, { what: 'the removal of the volume' });
    });

    test('an adopted container keeps its environment and host port through an update', async () => {
      const [old, next] = [demoImage({ version: 'found' }), await rig.demo('managed')];
      await rig.engine.importImage('found:1', old.rootfs, importChanges(old));
      const port = 10_000 + (process.pid % 20_000);
      const id = await rig.engine.run('found:1', { Env: ['VERSION=found', 'TOKEN=a=b $c'], HostConfig: { PortBindings: { '8080/tcp': [{ HostIp: '127.0.0.1', HostPort: String(port) }] } } }, 'found-one');
      await serviceThat(rig.hub, 'found-one', (s) => s.container.state === 'running');
      await rig.hub.refused(409, 'PATCH', '/services/{serviceId}', { params: { serviceId: 'found-one' }, body: { container: { image: next } } });
      const { service: adopted } = await rig.hub.ok('POST', '/services/{serviceId}/adopt', { params: { serviceId: 'found-one' } });
      assert.deepEqual([adopted.managed, adopted.container.id], [true, id]);
      const end = await rig.update('found-one', { container: { image: next } });
      assert.equal(end.status.state, 'completed', end.status.message);
      assert.equal(await text(`http://127.0.0.1:${port}`), 'found', 'VERSION of its environment is kept');
      const [now, ...others] = await rig.containersOf('found-one');
      assert.ok(now!.Config.Env.includes('TOKEN=a=b $c'));
      assert.deepEqual([others.length, (await rig.engine.request('GET', `/containers/${id}/json`)).status], [0, 404]);
    });

    test('O04 an index of two platforms runs by its digest, and the same reference again is no other image', async () => {
      const pushed = await rig.registry.pushIndex('index', '1', demoImage({ version: 'index' }));
      const first = await rig.serve('index', pushed.reference);
      assert.equal(first.container.digest, pushed.digest);
      await rig.update('index', { container: { environment: { A: '1' } } });
      assert.equal((await service(rig.hub, 'index')).container.digest, pushed.digest);
      const moved = await rig.registry.pushIndex('index', '1', demoImage({ version: 'moved' }));
      await rig.update('index', { container: { environment: { A: '2' } } });
      const now = await service(rig.hub, 'index');
      assert.deepEqual([now.container.digest, await text(now.networking.url)], [moved.digest, 'moved']);
    });
  });
}
