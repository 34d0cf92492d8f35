// The gateway with the real Caddy and a real engine: what an owner and his visitors see of routes.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { request, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { cli, Hub } from '../support/hub.ts';
import { Caddy, useCaddy, type Answer } from '../support/parts/caddy.ts';
import { dockerOld } from '../support/parts/docker.ts';
import { Pebble } from '../support/parts/pebble.ts';
import { Registry } from '../support/parts/registry.ts';
import { ended, useRig, type Rig } from '../support/rig.ts';
import { waitFor } from '../support/wait.ts';

const skip = dockerOld.skip || Registry.skip || Caddy.skip;
const at = (domain: string, more: object = {}) => ({ networking: { internalPort: 8080, domains: [domain], healthCheck: { path: '/health' }, ...more } });
const routes = async (hub: Hub) => hub.ok('GET', '/routes');
const route = async (hub: Hub, serviceId: string) => (await hub.ok('GET', '/routes/{serviceId}', { params: { serviceId } })).route;

/** The owner's server as text, without what is ours. */
async function ownersPart(caddy: Caddy): Promise<string> {
  const server = await caddy.config('/apps/http/servers/owner');
  server.routes = server.routes.filter((r: { '@id'?: string }) => !r['@id']?.startsWith('hbcloud'));
  return JSON.stringify(server);
}

/** Holds an event stream of a name open; says how much came, and whether it ended. */
async function holdStream(t: TestContext, caddy: Caddy, host: string): Promise<{ bytes: number; ended: boolean }> {
  const seen = { bytes: 0, ended: false };
  const reply = await new Promise<IncomingMessage>((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port: caddy.port, path: '/events', headers: { host }, agent: false }, resolve);
    asked.on('error', reject).end();
    t.after(() => asked.destroy());
  });
  reply.on('data', (piece: Buffer) => (seen.bytes += piece.length));
  reply.on('close', () => (seen.ended = true));
  await waitFor(() => seen.bytes > 0, { what: 'the first event' });
  return seen;
}

describe('the gateway', { skip }, () => {
  const caddy = useCaddy();
  const rig = useRig(dockerOld, () => ({ env: caddy.hubEnv }));
  const says = async (host: string, version: string) =>
    waitFor(async () => (await caddy.get(host, '/version')).body.trim() === version, { timeout: 10_000, what: `${host} answers ${version}` });

  test('a domain leads to its service; the owner’s own routes stay byte for byte', async () => {
    const before = await ownersPart(caddy);
    const end = await rig.deploy('shop', await rig.demo('1'), at('shop.example.org', { headers: { 'X-Owner': 'me', 'X-Braces': '{env.HOME} \\{a} {b}' }, rateLimit: { requests: 100, window: 60 } }));
    assert.equal(end.status.state, 'completed', end.status.logs.join('\n'));
    assert.ok(end.status.logs.some((line) => line.includes('no module that limits rates')), 'what has no effect is said');
    const answer = await caddy.get('shop.example.org', '/version');
    assert.deepEqual([answer.status, answer.body.trim(), answer.headers['x-owner'], answer.headers['x-content-type-options']], [200, '1', 'me', 'nosniff']);
    assert.equal(answer.headers['x-braces'], '{env.HOME} \\{a} {b}', 'what Caddy can read is not for a service’s owner');
    assert.equal(await ownersPart(caddy), before);
    assert.equal((await caddy.get('mine.example.net')).body, 'the owner’s own');
    assert.equal((await caddy.get('legacy.example.org')).body, 'legacy', 'an owner’s route below the domain comes before the 404');
    const { networking } = (await rig.hub.ok('GET', '/services/{serviceId}', { params: { serviceId: 'shop' } })).service;
    assert.ok(networking.caddyConfig?.includes('hbcloud-route-'), String(networking.caddyConfig));
    assert.equal(networking.url, `http://shop.example.org:${caddy.port}`);
  });

  test('an unknown name of the domain is a clean 404', async () => {
    const answer = await caddy.get('nobody.example.org');
    assert.equal(answer.status, 404);
    assert.match(answer.body, /No service has this name/);
  });

  test('O05 an update changes no configuration, and every request is answered', async () => {
    const { reloads } = (await routes(rig.hub)).router;
    const config = JSON.stringify(await caddy.config());
    const answers: Answer[] = [];
    let stop = false;
    const asking = (async () => {
      while (!stop) answers.push(await caddy.get('shop.example.org', '/version'));
    })();
    const end = await rig.update('shop', { container: { image: await rig.demo('2') } });
    await says('shop.example.org', '2');
    stop = true;
    await asking;
    assert.equal(end.status.state, 'completed', end.status.logs.join('\n'));
    assert.deepEqual(answers.filter((a) => a.status !== 200), []);
    assert.deepEqual(new Set(answers.map((a) => a.body.trim())), new Set(['1', '2']));
    assert.equal((await routes(rig.hub)).router.reloads, reloads);
    assert.equal(JSON.stringify(await caddy.config()), config);
  });

  test('O06 an event stream of one service lives on while routes of others come and go', async (t) => {
    const held = await holdStream(t, caddy, 'shop.example.org');
    for (let i = 0; i < 3; i++) {
      await rig.serve(`other-${i}`, await rig.demo('1'), at(`other-${i}.example.org`));
      await rig.remove(`other-${i}`);
    }
    const bytes = held.bytes;
    await waitFor(() => held.bytes > bytes, { what: 'one more event' });
    assert.equal(held.ended, false);
    await waitFor(async () => (await caddy.get('other-2.example.org')).status === 404, { what: 'no route of what was removed' });
  });

  test('what passed is read back', async () => {
    const shop = await waitFor(async () => {
      const now = await route(rig.hub, 'shop');
      return (now.figures?.requests ?? 0) > 3 && now;
    });
    assert.ok(shop.figures!.responses['2xx'] > 3, JSON.stringify(shop.figures));
    assert.deepEqual([shop.state, shop.serving, shop.upstreams.length], ['accepted', true, 1]);
  });

  test('hbcloud routes list and show', async () => {
    const list = await cli(['routes', 'list'], { hub: rig.hub });
    assert.deepEqual([list.code, list.stdout.split('\n')[0]!.split(/  +/).slice(0, 4)], [0, ['SERVICE', 'DOMAINS', 'STATE', 'UPSTREAMS']], list.stderr);
    assert.match(list.stdout, /^shop +shop\.example\.org +serving +127\.0\.0\.1:\d+/m);
    assert.match(list.stdout, /The router answers; its configuration was changed \d+ times/);
    const show = await cli(['routes', 'show', 'shop'], { hub: rig.hub });
    assert.match(show.stdout, /"@id": "hbcloud-route-shop"/);
    assert.equal((await cli(['routes', 'show', 'nobody'], { hub: rig.hub })).code, 1);
  });

  test('a route that Caddy refuses costs its own service alone', async () => {
    await caddy.admin('POST', '/config/apps/http/servers/owner/routes', { '@id': 'hbcloud-route-clash', match: [{ host: ['clash.example.net'] }], handle: [] });
    const end = await rig.deploy('clash', await rig.demo('1'), at('clash.example.org'));
    assert.equal(end.status.state, 'failed');
    assert.match(end.status.message ?? '', /refused the route of clash.*duplicate ID/is, 'in Caddy’s own words');
    await rig.serve('fine', await rig.demo('1'), at('fine.example.org'));
    await says('fine.example.org', '1');
    await says('shop.example.org', '2');
    assert.equal((await caddy.admin('DELETE', '/id/hbcloud-route-clash')).status, 200);
  });

  test('a domain of another service is refused beforehand', async () => {
    const end = await rig.deploy('thief', await rig.demo('1'), at('shop.example.org'));
    assert.equal(end.status.state, 'failed');
    assert.match(end.status.message ?? '', /shop\.example\.org belongs to the service shop/);
  });

  test('a domain that the owner serves himself is refused beforehand', async () => {
    const end = await rig.deploy('usurper', await rig.demo('1'), at('mine.example.net'));
    assert.equal(end.status.state, 'failed');
    assert.match(end.status.message ?? '', /own configuration has a route for mine\.example\.net/);
  });

  test('O08 an emptied Caddy is whole again within 10 s, nobody acting', async () => {
    const events = await rig.events();
    await caddy.load({ apps: { http: { servers: { owner: caddy.ownersServer } } } });
    assert.notEqual((await caddy.get('shop.example.org', '/version')).body.trim(), '2', 'it is gone');
    await says('shop.example.org', '2');
    await events.until((e) => e.type === 'router.restored');
    events.close();
    assert.ok(events.seen.some((e) => e.type === 'router.lost'));
  });

  test('O08 a Caddy that was away and restarted without its configuration is whole again within 10 s', async () => {
    await caddy.halt('SIGKILL');
    await waitFor(async () => !(await routes(rig.hub)).router.reached, { what: 'the hub sees that Caddy is away' });
    await caddy.resume();
    await says('shop.example.org', '2');
    await says('fine.example.org', '1');
  });

  test('slots and routes outlive a killed hub, and a new one changes nothing', async () => {
    await rig.hub.kill9();
    await says('shop.example.org', '2');
    await rig.hub.restart();
    await waitFor(async () => (await routes(rig.hub)).router.reached, { what: 'the hub reaches Caddy' });
    assert.equal((await routes(rig.hub)).router.reloads, 0);
    await says('shop.example.org', '2');
  });

  test('no healthy instance: at once 503 with Retry-After and a plain page, and an event; back after the start', async () => {
    const events = await rig.events();
    await rig.hub.ok('POST', '/services/{serviceId}/stop', { params: { serviceId: 'fine' }, timeout: 30_000 });
    await events.until((e) => e.type === 'route.unavailable');
    events.close();
    const began = Date.now();
    const answer = await caddy.get('fine.example.org');
    assert.deepEqual([answer.status, answer.headers['retry-after']], [503, '5']);
    assert.match(answer.body, /no healthy instance/);
    assert.ok(Date.now() - began < 2000, 'it does not wait for nobody');
    assert.equal((await caddy.get('shop.example.org', '/version')).body.trim(), '2', 'others are not concerned');
    await rig.hub.ok('POST', '/services/{serviceId}/start', { params: { serviceId: 'fine' }, timeout: 30_000 });
    await says('fine.example.org', '1');
  });

  test('an instance that crashed is found again where the engine published it anew', async () => {
    const [crashing] = await rig.containersOf('fine');
    const pid = async () => ((await rig.inspect(crashing!.Id)) as unknown as { State: { Pid: number } }).State.Pid;
    const first = await pid();
    process.kill(first, 'SIGKILL');
    await waitFor(async () => ![0, first].includes(await pid()), { what: 'the restart by the engine' });
    await says('fine.example.org', '1');
    assert.deepEqual((await route(rig.hub, 'fine')).upstreams, [(await rig.hub.ok('GET', '/services/{serviceId}', { params: { serviceId: 'fine' } })).service.networking.address]);
  });

  test('what is removed leaves neither route nor slots', async () => {
    await rig.remove('fine');
    await waitFor(async () => (await caddy.get('fine.example.org')).status === 404, { what: 'no route' });
    const left = readdirSync(join(rig.hub.dataDir, 'upstreams'));
    assert.ok(left.length > 0 && left.every((name) => readFileSync(join(rig.hub.dataDir, 'upstreams', name), 'utf8').startsWith('127.0.0.1:')), left.join(' '));
  });
});

describe('a Caddy without any configuration', { skip }, () => {
  const caddy = useCaddy({ apps: {} });
  const rig = useRig(dockerOld, () => ({
    env: { CADDY_ADMIN_URL: caddy.adminUrl, HBCLOUD_DOMAIN: 'example.org', HBCLOUD_CADDY_LISTEN: `127.0.0.1:${caddy.port}`, HBCLOUD_CADDY_ISSUER: 'none' },
  }));

  test('gets a server of our own, with figures', async () => {
    const { networking } = await rig.serve('shop', await rig.demo('1'), at('shop.example.org'));
    assert.equal(networking.url, `http://shop.example.org:${caddy.port}`);
    assert.equal((await caddy.get('shop.example.org', '/version')).body.trim(), '1');
    assert.equal((await caddy.get('nobody.example.org')).status, 404);
    assert.deepEqual(Object.keys(await caddy.config('/apps/http/servers')), ['hbcloud']);
    await waitFor(async () => (await route(rig.hub, 'shop')).figures!.responses['2xx'] > 0, { what: 'the first figure' });
  });
});

describe('O07 a Caddy that enforces origins', { skip }, () => {
  const caddy = useCaddy({ admin: { enforce_origin: true } });
  const rig: Rig = useRig(dockerOld, () => ({ env: caddy.hubEnv }));

  test('gets the one that it wants', async () => {
    await rig.serve('shop', await rig.demo('1'), at('shop.example.org'));
    assert.equal((await caddy.get('shop.example.org', '/version')).body.trim(), '1');
  });

  test('and where it wants another, a deployment fails within seconds and says why', async (t) => {
    const strict = await Caddy.start({ admin: { enforce_origin: true, origins: ['admin.example.org'] }, origin: 'http://admin.example.org' });
    t.after(() => strict.stop());
    const hub = await Hub.start({ dockerHost: rig.engine.host, env: strict.hubEnv });
    t.after(() => hub.stop());
    const image = await rig.demo('1');
    const began = Date.now();
    const body = { name: 'shop2', container: { image }, ...at('shop2.example.org') };
    const { deployment_id } = await hub.ok('POST', '/services', { body });
    const end = await ended(hub, deployment_id);
    assert.equal(end.status.state, 'failed');
    assert.match(end.status.message ?? '', /admin\.origins/);
    assert.ok(Date.now() - began < 15_000);
  });
});

describe('certificates of routes', { skip: skip || Pebble.skip }, () => {
  const rig = useRig(dockerOld);

  async function hubWith(t: TestContext, env: Record<string, string>): Promise<{ caddy: Caddy; hub: Hub }> {
    const caddy = await Caddy.start({ tls: true });
    t.after(() => caddy.stop());
    const hub = await Hub.start({ dockerHost: rig.engine.host, env: { ...caddy.hubEnv, ...env } });
    t.after(() => hub.stop());
    return { caddy, hub };
  }

  async function serve(hub: Hub, name: string, domain: string): Promise<void> {
    const body = { name, container: { image: await rig.demo('1') }, ...at(domain) };
    const end = await ended(hub, (await hub.ok('POST', '/services', { body })).deployment_id);
    assert.equal(end.status.state, 'completed', end.status.logs.join('\n'));
  }

  test('by ACME: a new route’s certificate comes from the directory that is set', async (t) => {
    const pebble = await Pebble.start(t);
    const { caddy, hub } = await hubWith(t, { HBCLOUD_CADDY_ISSUER: 'acme', HBCLOUD_CADDY_ACME_DIRECTORY: pebble.directory, HBCLOUD_CADDY_ACME_CA_FILE: pebble.caFile });
    await serve(hub, 'shop', 'shop.example.org');
    const answer = await waitFor(() => caddy.secure('shop.example.org', '/version'), { timeout: 20_000, what: 'a certificate of Pebble' });
    assert.deepEqual([answer.status, answer.body.trim()], [200, '1']);
    assert.match(String(answer.certificate.issuer.CN), /Pebble/);
    assert.equal(answer.certificate.subjectaltname, 'DNS:shop.example.org');
    const plain = await caddy.get('shop.example.org', '/version');
    assert.equal(plain.status, 308, 'plain HTTP leads to TLS');
    assert.equal((await hub.ok('GET', '/routes/{serviceId}', { params: { serviceId: 'shop' } })).route.url, `https://shop.example.org:${caddy.tlsPort}`);
    await hub.ok('DELETE', '/services/{serviceId}', { params: { serviceId: 'shop' }, query: { confirm: 'shop' }, timeout: 30_000 });
  });

  test('a wildcard domain, and unknown names of the domain, by Caddy’s own authority', async (t) => {
    const { caddy, hub } = await hubWith(t, { HBCLOUD_CADDY_ISSUER: 'internal' });
    await serve(hub, 'apps', '*.apps.example.org');
    const answer = await waitFor(() => caddy.secure('any.apps.example.org', '/version'), { timeout: 20_000, what: 'a certificate' });
    assert.deepEqual([answer.status, answer.body.trim(), answer.certificate.subjectaltname], [200, '1', 'DNS:*.apps.example.org']);
    const unknown = await waitFor(() => caddy.secure('nobody.example.org'), { timeout: 20_000, what: 'a certificate' });
    assert.equal(unknown.status, 404);
    assert.match(unknown.body, /No service has this name/);
    await hub.ok('DELETE', '/services/{serviceId}', { params: { serviceId: 'apps' }, query: { confirm: 'apps' }, timeout: 30_000 });
  });
});
