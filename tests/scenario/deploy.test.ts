// A service's first deployment, on each engine: pulled, limited, loopback only, reachable, and what happens when it fails.
import assert from 'node:assert/strict';
import { connect, createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { after, describe, test } from 'node:test';
import { shellImage, stay } from '../support/images.ts';
import { engines } from '../support/parts/docker.ts';
import { Registry } from '../support/parts/registry.ts';
import { deployment, ended, service, serviceThat, text, useRig } from '../support/rig.ts';
import { freePort, waitFor } from '../support/wait.ts';

/** Checks that come quickly, so that a failure is seen quickly. */
const hasty = { healthCheck: { path: '/health', interval: 1, timeout: 1, retries: 1, startPeriod: 0 } };
const alive = { healthCheck: { command: ['/bin/true'], interval: 1, startPeriod: 1 } };

const awkward = {
  PEM: '-----BEGIN KEY-----\nMIIB\nAg==\n-----END KEY-----\n',
  CRLF: 'one\r\ntwo\r\n',
  DOLLAR: 'pa$$word $HOME ${X} abc$def $2y$10$abcdefghijklmnopqrstuv',
  QUOTES: `"double" 'single' \`back\` \\ %s %d = #`,
  BLANK: '  leading and trailing  ',
  EMOJI: 'grüße 🚀',
  EMPTY: '',
  LONG: 'x'.repeat(65_536),
};

function refusedAt(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.once('connect', () => resolve((socket.destroy(), false)));
    socket.once('error', () => resolve(true));
  });
}

for (const flavour of engines) {
  describe(`first deployment on ${flavour.name}`, { skip: flavour.skip || Registry.skip }, () => {
    const rig = useRig(flavour);

    test('an image is pulled, started, checked, reachable and recorded, live on the events', async () => {
      const image = await rig.demo('1', { ballast: 8 });
      const events = await rig.events({ query: { types: 'deployment.*,service.*' } });
      const reply = await rig.begin('hello', image);
      assert.deepEqual(Object.values(reply.monitoring_setup), [false, false, false, false], 'nothing is claimed that is not so');
      const last = await events.until((e) => e.data.entityId === reply.deployment_id && e.data.data.status.state === 'completed', { timeout: 60_000 });
      events.close();
      const mine = events.seen.filter((e) => e.type.startsWith('deployment.')).map((e) => e.data.data.status);
      assert.deepEqual([...new Set(mine.map((s) => s.state))].slice(0, 3), ['initiated', 'building', 'deploying']);
      assert.ok(mine.some((s) => s.state === 'testing' && s.step === 'check'));
      assert.ok(mine.some((s) => s.step === 'pull' && s.progress > 8 && /MB/.test(s.message)), 'the pull says how far it is');
      mine.reduce((before, s) => (assert.ok(s.progress >= before, 'progress only rises'), s.progress), 0);
      assert.ok(last.data.data.timing.phases.some((p: { name: string; status: string }) => p.name === 'pull' && p.status === 'success'));
      const now = await service(rig.hub, 'hello');
      assert.equal(await text(now.networking.url), '1');
      assert.deepEqual([now.status.deployment, now.status.health, now.status.message], ['running', 'healthy', null]);
      assert.ok(events.seen.some((e) => e.type === 'service.updated' && e.data.data.status.health === 'healthy'));
    });

    test('O33 each byte of an environment value is inside the container', async () => {
      const image = await rig.push('env', '1', shellImage(`cat /proc/self/environ; echo; ${stay}`));
      await rig.serve('env', image, { container: { image, environment: awkward }, networking: { internalPort: 1, ...alive } });
      const inside = (await rig.logs('env', { tail: 10_000 })).toString('utf8').split('\0');
      for (const [name, value] of Object.entries(awkward)) assert.ok(inside.includes(`${name}=${value}`), name);
    });

    test('limits are set in the control group, and only loopback publishes the port', async () => {
      const script = 'cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; exec /bin/demo';
      const image = await rig.demo('limits');
      const now = await rig.serve('limits', image, { container: { image, command: ['/bin/sh', '-c', script], resources: { cpu: 0.5, memory: 32 } } });
      assert.match((await rig.logs('limits')).toString(), /^33554432$/m);
      const [{ HostConfig }] = (await rig.containersOf('limits')) as [Awaited<ReturnType<typeof rig.inspect>>];
      assert.equal(HostConfig.NanoCpus, 500_000_000);
      assert.deepEqual(now.container.resources, { cpu: 0.5, memory: 32 });
      const port = Number(new URL(now.networking.url!).port);
      assert.deepEqual(now.networking.ports.map((p) => [p.container, p.host, p.address]), [[8080, port, '127.0.0.1']]);
      const outside = Object.values(networkInterfaces()).flat().find((a) => a!.family === 'IPv4' && !a!.internal);
      assert.ok(!outside || (await refusedAt(outside.address, port)), 'closed from another address');
    });

    test('a crash at the start is told with its status and last words', async () => {
      const end = await rig.deploy('crash', await rig.demo('1'), { container: { image: await rig.demo('1'), environment: { CRASH: '1' } } });
      assert.equal(end.status.state, 'failed');
      assert.match(end.status.message!, /ended with status 1 .*told to crash/);
      const now = await service(rig.hub, 'crash');
      assert.deepEqual([now.status.deployment, now.networking.url], ['failed', null]);
      assert.equal((await rig.containersOf('crash')).length, 0, 'the failed container is not left behind');
    });

    test('what never gets healthy fails with what the check saw, by HTTP and by the image', async () => {
      const [plain, checked] = [await rig.demo('1'), await rig.demo('checked', { healthcheck: true })];
      const environment = { FAIL_HEALTH: '1' };
      const [byPath, byImage] = await Promise.all([
        rig.deploy('sick-path', plain, { container: { image: plain, environment }, networking: { internalPort: 8080, ...hasty } }),
        rig.deploy('sick-image', checked, { container: { image: checked, environment }, networking: { internalPort: 8080, healthCheck: { startPeriod: 0, interval: 1, timeout: 1, retries: 3 } } }),
      ]);
      assert.match(byPath.status.message!, /did not become healthy .*answered 503/);
      assert.match(byImage.status.message!, /did not become healthy .*health check failed/);
      for (const end of [byPath, byImage]) assert.deepEqual([end.status.state, end.timing.phases.at(-1)?.name, end.timing.phases.at(-1)?.status], ['failed', 'check', 'failed']);
    });

    test('a container that needs more memory than its limit is told so', async () => {
      const image = await rig.demo('1');
      const command = ['/bin/dd', 'if=/dev/zero', 'of=/dev/null', 'bs=300M', 'count=1'];
      const end = await rig.deploy('hungry', image, { container: { image, command, resources: { memory: 16 } } });
      assert.equal(end.status.state, 'failed');
      assert.match(end.status.message!, /more memory than its limit of 16 MB/);
    });

    test('a container that is slow to listen is not called healthy before it does', async () => {
      const image = await rig.demo('1');
      const began = Date.now();
      const now = await rig.serve('slow', image, { container: { image, environment: { START_DELAY_MS: '2500' } } });
      assert.ok(Date.now() - began >= 2500, 'no check passes while nobody listens');
      assert.equal(await text(now.networking.url), '1');
    });

    test('an image that no registry has is named in the cause', async () => {
      const missing = `${rig.registry.address}/nothing:9`;
      const end = await rig.deploy('missing-image', missing);
      assert.equal(end.status.state, 'failed');
      assert.ok(end.status.message!.includes(missing), end.status.message);
      assert.equal((await service(rig.hub, 'missing-image')).status.deployment, 'failed');
    });

    test('a bind source that is not there is refused before anything is touched', async () => {
      const image = await rig.demo('1');
      const end = await rig.deploy('no-source', image, { container: { image, volumes: [{ source: '/nowhere/at/all', target: '/data' }] } });
      assert.match(end.status.message!, /\/nowhere\/at\/all does not exist/);
      assert.ok(!end.timing.phases.some((p) => p.name === 'pull'));
    });

    test('a host port that a container or a program has is told, with who has it', async () => {
      const image = await rig.demo('1');
      const port = await freePort();
      const ports = [{ container: 8080, host: port }];
      await rig.serve('first-at-port', image, { container: { image, ports } });
      const byContainer = await rig.deploy('second-at-port', image, { container: { image, ports } });
      assert.match(byContainer.status.message!, new RegExp(`port ${port} is taken by container first-at-port`));
      const program = createServer().listen(0, '127.0.0.1');
      after(() => program.close());
      await waitFor(() => program.listening);
      const other = (program.address() as { port: number }).port;
      const byProgram = await rig.deploy('third-at-port', image, { container: { image, ports: [{ container: 8080, host: other }] } });
      assert.equal(byProgram.status.state, 'failed');
      assert.match(byProgram.status.message!, new RegExp(`${other}`));
      assert.equal((await rig.containersOf('third-at-port')).length, 0);
    });

    test('a service that failed is deployed again by a change', async () => {
      await serviceThat(rig.hub, 'crash', (s) => s.status.deployment === 'failed');
      const end = await rig.update('crash', { container: { environment: { CRASH: null } } });
      assert.equal(end.status.state, 'completed', end.status.message);
      assert.equal(await text((await service(rig.hub, 'crash')).networking.url), '1');
    });

    test('two deployments of one service at once: the second waits, another service is not held up', async () => {
      const image = await rig.demo('1');
      const body = { container: { environment: { START_DELAY_MS: '1500' } } };
      const { deployment_id } = await rig.hub.ok('PATCH', '/services/{serviceId}', { params: { serviceId: 'hello' }, body });
      const second = await rig.hub.ok('PATCH', '/services/{serviceId}', { params: { serviceId: 'hello' }, body: { container: { environment: { START_DELAY_MS: null } } } });
      assert.match((await deployment(rig.hub, second.deployment_id)).status.message!, new RegExp(deployment_id));
      await rig.hub.refused(409, 'POST', '/services/{serviceId}/stop', { params: { serviceId: 'hello' } });
      await rig.serve('meanwhile', image);
      for (const id of [deployment_id, second.deployment_id]) assert.equal((await ended(rig.hub, id)).status.state, 'completed');
    });
  });
}
