// What can go wrong with a deployment while its service is asked behind the real Caddy: each ends with its cause in one
// sentence, the old release serves, no request is lost, and no container, route or registration of the failed one is left.
import assert from 'node:assert/strict';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import { Front } from '../support/front.ts';
import { Load } from '../support/load.ts';
import { Caddy, useCaddy } from '../support/parts/caddy.ts';
import { Consul, useConsul } from '../support/parts/consul.ts';
import { dockerOld, Engine, type Flavour } from '../support/parts/docker.ts';
import { Registry } from '../support/parts/registry.ts';
import { deployment, ended, service, serviceThat, useRig, type Deployment, type ServiceChange } from '../support/rig.ts';
import { waitFor } from '../support/wait.ts';

const healthCheck = { path: '/health', interval: 1, timeout: 1, retries: 2, startPeriod: 5 };
const networking = { internalPort: 8080, domains: ['shop.example.org'], healthCheck };
const told = ({ status }: Deployment): string => `${status.message}\n${status.logs.join('\n')}`;

/** One sentence on one line. */
const sentence = /^[A-Z][^\n]{10,400}$/;

async function listener(t: TestContext): Promise<number> {
  const server = createServer(() => {}).listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

const lightly = (caddy: Caddy, more: { keepAlivePost?: number } = {}) => Load.start({
  port: caddy.port, host: 'shop.example.org', keepAliveGet: 20, keepAlivePost: 5, newGet: 10, trickle: 0, upload: 0, eventStreams: 0, sockets: 0, streamSeconds: 0, ...more,
});

const faults = (): void => {
  const caddy = useCaddy(), consul = useConsul();
  let engine: Front, admin: Front;
  const socket = join(tmpdir(), `hbcloud-front-${process.pid}.sock`);
  const rig = useRig(dockerOld, async ({ engine: { socket: socketPath } }) => {
    engine = await Front.start({ socketPath }, socket);
    const own = `127.0.0.1:${caddy.adminPort}`;
    admin = await Front.start({ host: '127.0.0.1', port: caddy.adminPort, headers: { host: own, origin: `http://${own}` } });
    const env = { ...caddy.hubEnv, CADDY_ADMIN_URL: `http://127.0.0.1:${admin.port}`, CONSUL_HTTP_ADDR: consul.address, HBCLOUD_PULL_STALL: '6s' };
    return { dockerHost: `unix://${socket}`, env };
  });
  let load: Load;
  before(async () => {
    // All at once on an engine that has no network yet: they must find one, not one each.
    const image = await rig.demo('sound');
    await Promise.all([rig.serve('shop', image, { networking }), ...[1, 2, 3].map((i) => rig.serve(`beside-${i}`, image))]);
    load = await lightly(caddy);
  });
  after(() => { load?.discard(); engine?.stop(); admin?.stop(); });

  const begin = async (body: ServiceChange) => (await rig.hub.ok('PATCH', '/services/{serviceId}', { params: { serviceId: 'shop' }, body })).deployment_id;
  const container = async () => (await service(rig.hub, 'shop')).container.id;
  const atStep = (id: string, step: string) => waitFor(async () => (await deployment(rig.hub, id)).status.step === step, { timeout: 30_000, every: 20, what: `the step ${step}` });

  /** Nothing is there but what was there before. */
  async function asBefore(id: string | null, version = 'sound'): Promise<void> {
    assert.deepEqual((await rig.containersOf('shop')).map((c) => [c.Id, c.State.Running]), [[id, true]], 'one container, the old one');
    const now = await service(rig.hub, 'shop');
    assert.deepEqual([now.container.id, now.status.deployment], [id, 'running']);
    assert.equal((await caddy.get('shop.example.org', '/version')).body.trim(), version);
    const { routes } = await rig.hub.ok('GET', '/routes');
    assert.deepEqual(routes.map((r) => [r.state, r.upstreams]), [['accepted', [now.networking.address]]]);
    assert.deepEqual((await consul.instances('shop')).map((x) => `${x.Address}:${x.Port}`), [now.networking.address], 'one registration');
  }

  async function endsAsBefore(body: ServiceChange, state: string, cause: RegExp, during: (id: string) => Promise<unknown> = async () => {}, version = 'sound'): Promise<Deployment> {
    const old = await container();
    const id = await begin(body);
    await during(id);
    const end = await ended(rig.hub, id, 90_000);
    assert.equal(end.status.state, state, told(end));
    assert.match(end.status.message!, cause, told(end));
    assert.match(end.status.message!, sentence);
    await asBefore(old, version);
    return end;
  }

  test('a release that never gets healthy', async () => {
    await endsAsBefore({ container: { image: await rig.demo('ill'), environment: { FAIL_HEALTH: '1' } } }, 'rolled_back', /not.*healthy|health check|503/i);
  });

  test('an image that does not exist', async () => {
    await endsAsBefore({ container: { image: `${rig.registry.address}/demo:nowhere`, environment: { FAIL_HEALTH: null } } }, 'failed', /demo:nowhere.*cannot be pulled: .*(not found|unknown|does not exist)/i);
  });

  test('a registry that takes the connection and says nothing, and a cancel meanwhile', async (t) => {
    const image = `127.0.0.1:${await listener(t)}/never:1`;
    await endsAsBefore({ container: { image } }, 'failed', /never:1.*nothing came from its registry for 6 s/);
    await endsAsBefore({ container: { image } }, 'cancelled', /^Cancelled by owner/, async (id) => {
      await atStep(id, 'pull');
      await rig.hub.ok('POST', '/deployments/{deploymentId}/cancel', { params: { deploymentId: id } });
    });
  });

  test('a host port that is in use', async (t) => {
    const host = await listener(t);
    const image = await rig.demo('sound');
    await endsAsBefore({ container: { image, ports: [{ container: 8080, host }] } }, 'rolled_back', new RegExp(`[Pp]ort.*${host}|${host}.*in use`));
    // The ports of the service are as before in the next request, too.
    await endsAsBefore({ container: { image, ports: [{ container: 9090, host }] } }, 'rolled_back', new RegExp(`[Pp]ort.*${host}|${host}.*in use`));
  });

  test('a Caddy that refuses the route', async () => {
    const old = await container();
    admin.judge = (method, _, body) => (method !== 'GET' && body.includes('X-Refused') ? { status: 400, body: '{"error":"loading new config: header X-Refused is not for us"}' } : 'pass');
    try {
      const body = { container: { image: await rig.demo('refused') }, networking: { headers: { 'X-Refused': 'yes' } } };
      await endsAsBefore(body, 'rolled_back', /refused the route of shop.*X-Refused is not for us/s);
      assert.ok(admin.kept.length > 0);
    } finally {
      admin.relent();
    }
    await asBefore(old);
  });

  test('an engine that never answers a removal: of the new container, and of the old one', async () => {
    const removes = (method: string, path: string) => (method === 'DELETE' && /\/containers\//.test(path) ? 'mute' as const : 'pass' as const);
    const old = await container();
    engine.judge = removes;
    const id = await begin({ container: { image: await rig.demo('ill'), environment: { FAIL_HEALTH: '1' } }, networking: { headers: {} } });
    await waitFor(() => engine.kept.length > 0, { timeout: 60_000, what: 'the removal' });
    assert.equal((await caddy.get('shop.example.org', '/version')).body.trim(), 'sound');
    engine.relent(); // whoever waits for the removal is hung up on: the next try is answered
    const undone = await ended(rig.hub, id, 60_000);
    assert.equal(undone.status.state, 'rolled_back', told(undone));
    await asBefore(old);

    engine.judge = removes;
    const next = await begin({ container: { image: await rig.demo('next'), environment: { FAIL_HEALTH: null } } });
    const end = await ended(rig.hub, next, 90_000);
    assert.equal(end.status.state, 'completed', told(end));
    assert.match(told(end), /the old container \w+ stays behind: .*(answer|time)/);
    engine.relent();
    await waitFor(async () => (await rig.containersOf('shop')).length === 1, { timeout: 90_000, every: 500, what: 'the removal of what stayed behind' });
    await asBefore(await container(), 'next');
  });

  test('no request was lost in all of them', async (t) => {
    const { sent, failed, failures } = await load.stop();
    t.diagnostic(`${sent} requests, ${failed} failed`);
    assert.ok(sent > 500, `${sent} requests`);
    assert.deepEqual([failed, failures], [0, []]);
  });

  test('a container that ends after it got the traffic', async (t) => {
    // Whatever the container was answering when it ended is gone with it; the router may ask another only what reads.
    const reads = await lightly(caddy, { keepAlivePost: 0 });
    t.after(() => reads.discard());
    await endsAsBefore({ container: { image: await rig.demo('short'), ports: [] } }, 'rolled_back', /^The new container ended (with status 3|right after it got the traffic)/, async (id) => {
      await atStep(id, 'verify');
      const fresh = (await rig.containersOf('shop')).find((c) => c.Config.Labels['hbcloud.deployment'] === id);
      assert.ok(fresh?.State.Running, 'it runs');
      const [{ HostPort }] = (fresh as unknown as { NetworkSettings: { Ports: Record<string, [{ HostPort: string }]> } }).NetworkSettings.Ports['8080/tcp']!;
      await fetch(`http://127.0.0.1:${HostPort}/exit?code=3`).catch(() => {}); // it may be gone before its answer
    }, 'next');
    assert.deepEqual((await reads.stop()).failures, []);
  });

  test('a container that ends 20 s after its start, when its deployment has completed: the release before is deployed again by itself', async (t) => {
    const reads = await lightly(caddy, { keepAlivePost: 0 });
    t.after(() => reads.discard());
    const id = await begin({ container: { image: await rig.demo('later'), environment: { EXIT_AFTER_MS: '20000' } } });
    assert.equal((await ended(rig.hub, id, 60_000)).status.state, 'completed');
    const newest = async () => (await rig.hub.ok('GET', '/deployments', { query: { service_id: 'shop', limit: 1 } })).deployments[0]!;
    const back = await waitFor(async () => { const x = await newest(); return x.id !== id && x; }, { timeout: 60_000, what: 'the way back' });
    assert.deepEqual([back.deployment.trigger, back.deployment.initiatedBy], ['rollback', 'hbcloud']);
    const end = await ended(rig.hub, back.id, 60_000);
    assert.deepEqual([end.status.state, /ended by itself, \d+ s after it began to serve/.test(told(end))], ['completed', true], told(end));
    await asBefore(await container(), 'next');
    assert.deepEqual((await reads.stop()).failures, []);
  });

  test('an owner who restarts a new container is not taken for a release that does not last', async () => {
    const id = await begin({ container: { environment: { TURN: 'restarted' } } });
    assert.equal((await ended(rig.hub, id, 60_000)).status.state, 'completed');
    await rig.hub.ok('POST', '/services/{serviceId}/restart', { params: { serviceId: 'shop' } });
    await serviceThat(rig.hub, 'shop', (x) => x.status.health === 'healthy' && x.status.deployment === 'running');
    // Services are compared one after the other: when a change that came later is found, this one has been looked at.
    const [other] = await rig.containersOf('beside-1');
    await rig.engine.call('POST', `/containers/${other!.Id}/update`, { Memory: 128 << 20, MemorySwap: 256 << 20 });
    await rig.hub.ok('POST', '/services/{serviceId}/restart', { params: { serviceId: 'beside-1' } });
    await serviceThat(rig.hub, 'beside-1', (x) => (x.status.drift?.length ?? 0) > 0, 90_000);
    const { deployments } = await rig.hub.ok('GET', '/deployments', { query: { service_id: 'shop', limit: 1 } });
    assert.equal(deployments[0]!.id, id, 'nothing was deployed since');
  });
};

// The engine's data lies on a file system of its own that only it sees: the hub finds out as the pull does.
const mountSmall = 'mkdir -p "$6/data" && mount -t tmpfs -o size=64m tmpfs "$6/data" && exec "$@"';
const onSmallDisk = Object.assign(Object.create(dockerOld) as Flavour, {
  start: () => Engine.start(dockerOld, { enter: ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', mountSmall, 'sh'] }),
});

const fullDisk = (): void => {
  const caddy = useCaddy();
  const rig = useRig(onSmallDisk, () => ({ env: caddy.hubEnv }));

  test('ends the deployment with that cause, the old release serving', async (t) => {
    const { container } = await rig.serve('shop', await rig.demo('sound'), { networking });
    const load = await lightly(caddy);
    t.after(() => load.discard());
    const end = await rig.update('shop', { container: { image: await rig.demo('large', { ballast: 80 }) } });
    assert.equal(end.status.state, 'failed', told(end));
    assert.match(end.status.message!, /cannot be pulled: .*no space left on device/);
    assert.deepEqual((await rig.containersOf('shop')).map((c) => [c.Id, c.State.Running]), [[container.id, true]]);
    assert.equal((await caddy.get('shop.example.org', '/version')).body.trim(), 'sound');
    assert.equal((await rig.update('shop', { container: { image: await rig.demo('slim') } })).status.state, 'completed', 'what fits goes on');
    assert.deepEqual((await load.stop()).failures, []);
  });
};

describe('O09 what can go wrong with a deployment', { concurrency: 2, skip: dockerOld.skip || Registry.skip || Caddy.skip || Consul.skip }, () => {
  describe('behind Caddy and Consul', { concurrency: 1 }, faults);
  describe('on a full disk', { concurrency: 1 }, fullDisk);
});
