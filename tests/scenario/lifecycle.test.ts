// Start, stop, restart, remove; containers that others start or take away; an engine that goes and comes back; logs.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { importChanges, shellImage, stay } from '../support/images.ts';
import { engines } from '../support/parts/docker.ts';
import { Registry } from '../support/parts/registry.ts';
import { service, serviceThat, text, useRig } from '../support/rig.ts';
import { waitFor } from '../support/wait.ts';

for (const flavour of engines) {
  describe(`lifecycle on ${flavour.name}`, { skip: flavour.skip || Registry.skip }, () => {
    const rig = useRig(flavour);
    const act = (action: 'start' | 'stop' | 'restart', serviceId: string) => rig.hub.ok('POST', `/services/{serviceId}/${action}`, { params: { serviceId }, timeout: 30_000 });

    test('stop, start, restart and remove say what is so, in the reply and on the events', async () => {
      await rig.serve('cycle', await rig.demo('1'));
      const events = await rig.events({ query: { types: 'service.*' } });
      const stopped = (await act('stop', 'cycle')).service;
      assert.deepEqual([stopped.status.deployment, stopped.container.state, stopped.networking.url, stopped.status.health], ['stopped', 'exited', null, 'unknown']);
      assert.equal((await act('stop', 'cycle')).service.status.deployment, 'stopped', 'stopping twice is no error');
      const started = (await act('start', 'cycle')).service;
      assert.equal(started.status.deployment, 'running');
      await waitFor(async () => (await text(started.networking.url)) === '1');
      await act('restart', 'cycle');
      await serviceThat(rig.hub, 'cycle', (s) => s.status.deployment === 'running' && s.status.health === 'healthy');
      await rig.hub.refused(400, 'DELETE', '/services/{serviceId}', { params: { serviceId: 'cycle' }, query: { confirm: 'other' } });
      await rig.remove('cycle');
      await events.until((e) => e.type === 'service.deleted' && e.data.entityId === started.id);
      events.close();
      const told = events.seen.flatMap((e) => (e.data.data?.name === 'cycle' ? [e.data.data.status.deployment] : []));
      assert.ok(told.indexOf('stopped') >= 0 && told.indexOf('stopped') < told.lastIndexOf('running'), told.join());
      await rig.hub.refused(404, 'GET', '/services/{serviceId}', { params: { serviceId: 'cycle' } });
      assert.equal((await rig.containersOf('cycle')).length, 0);
      assert.ok((await rig.hub.ok('GET', '/deployments', { query: { service_id: 'cycle' } })).deployments.length > 0, 'its deployments stay on record');
    });

    test('a container that someone else starts appears with what its labels say, and goes when it goes', async () => {
      const image = shellImage(stay);
      await rig.engine.importImage('quiet:1', image.rootfs, importChanges(image));
      const labels = { 'hbcloud.domain': 'a.example.org, b.example.org', 'hbcloud.type': 'cache', 'hbcloud.health.path': '/up' };
      const id = await rig.engine.run('quiet:1', { Labels: labels, Env: ['SECRET=s'] }, 'stranger');
      const seen = await serviceThat(rig.hub, 'stranger', (s) => s.container.state === 'running');
      assert.deepEqual([seen.managed, seen.type, seen.networking.domains, seen.networking.healthCheck.path], [false, 'cache', ['a.example.org', 'b.example.org'], '/up']);
      assert.deepEqual(seen.container.environment.includes('SECRET'), true, 'the key is shown, the value never');
      assert.ok(!JSON.stringify(seen).includes('SECRET='));
      await rig.engine.call('DELETE', `/containers/${id}?force=true`);
      await waitFor(async () => (await rig.hub.api('GET', '/services/{serviceId}', { params: { serviceId: 'stranger' } })).status === 404);
    });

    test("a managed service whose container is taken away or dies says so, and is a problem of the system's", async () => {
      const gone = await rig.serve('gone', await rig.demo('1'));
      await rig.engine.call('DELETE', `/containers/${gone.container.id}?force=true`);
      const now = await serviceThat(rig.hub, 'gone', (s) => s.status.deployment === 'failed');
      assert.match(now.status.message!, /container is gone/);
      assert.deepEqual([now.networking.url, now.container.state], [null, null]);
      await waitFor(async () => (await rig.hub.ok('GET', '/system')).system.problems.some((p) => p.entityId === gone.id));
      assert.equal((await rig.update('gone', { container: { environment: { A: '1' } } })).status.state, 'completed');
      await waitFor(async () => !(await rig.hub.ok('GET', '/system')).system.problems.some((p) => p.entityId === gone.id));
    });

    test('a service that turns unhealthy is told so with the reason, and back', async () => {
      const image = await rig.demo('1');
      const healthCheck = { path: '/health', interval: 1, timeout: 1, retries: 1, startPeriod: 0 };
      const { networking } = await rig.serve('moody', image, { networking: { internalPort: 8080, healthCheck } });
      await fetch(`${networking.url}/fail`, { method: 'POST' });
      const sick = await serviceThat(rig.hub, 'moody', (s) => s.status.health === 'unhealthy');
      assert.match(sick.status.message!, /answered 503/);
      assert.equal((await rig.hub.ok('GET', '/services', { query: { health: 'unhealthy' } })).services.length, 1);
      await fetch(`${networking.url}/recover`, { method: 'POST' });
      const well = await serviceThat(rig.hub, 'moody', (s) => s.status.health === 'healthy');
      assert.equal(well.status.message, null);
    });

    for (const [name, tty] of [['plain', false], ['terminal', true]] as const) {
      test(`O02 logs of a ${name} container are the exact bytes`, async () => {
        const image = shellImage(`printf 'HELLO'; printf 'oops\\n' >&2; printf '\\377\\001\\n'; ${stay}`);
        await rig.engine.importImage('speaker:1', image.rootfs, importChanges(image));
        // The engine's default log driver replaces bytes that are not UTF-8; this one keeps them.
        await rig.engine.run('speaker:1', { Tty: tty, HostConfig: { LogConfig: { Type: 'local' } } }, name);
        await serviceThat(rig.hub, name, (s) => s.container.state === 'running');
        const wanted = tty ? Buffer.from('HELLOoops\r\n\xff\x01\r\n', 'latin1') : Buffer.from('HELLO\xff\x01\n', 'latin1');
        await waitFor(async () => (await rig.logs(name, { stream: 'stdout' })).equals(wanted));
        const { frames } = await rig.hub.ok('GET', '/services/{serviceId}/logs', { params: { serviceId: name }, headers: { accept: 'application/json' } });
        const of = (stream: string) => Buffer.concat(frames.filter((f) => f.stream === stream).map((f) => ('data' in f ? Buffer.from(f.data!) : Buffer.from(f.base64!, 'base64'))));
        assert.deepEqual(of('stdout'), wanted);
        assert.equal(of('stderr').toString(), tty ? '' : 'oops\n');
      });
    }

    test('an engine that goes away is said so, and everything is right again when it is back', async () => {
      const before = await rig.serve('survivor', await rig.demo('1'));
      await rig.engine.pause();
      await waitFor(async () => !(await rig.hub.ok('GET', '/system')).system.engine.available, { timeout: 30_000 });
      const refusal = await rig.hub.refused(503, 'POST', '/services', { body: { name: 'later', container: { image: 'x' }, networking: { internalPort: 1 } } });
      assert.match(refusal.error.message, /engine/);
      assert.equal((await rig.hub.api('GET', '/services/{serviceId}', { params: { serviceId: 'survivor' } })).status, 200, 'what is known is still read');
      await rig.engine.resume();
      await waitFor(async () => (await rig.hub.ok('GET', '/system')).system.engine.available, { timeout: 30_000 });
      await waitFor(async () => (await text((await service(rig.hub, 'survivor')).networking.url)) === '1', { what: 'the service at its new address' });
      const now = await serviceThat(rig.hub, 'survivor', (s) => s.status.health === 'healthy');
      assert.deepEqual([now.container.id, now.status.deployment], [before.container.id, 'running']);
    });
  });
}
