// The proof by kill -9 of the others: the engine, and Caddy, die when a deployment has come to each step and come back. The
// deployment ends, one container is left, the route leads to it and it is served again. Made from the table of steps.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import { Hub, repository } from '../support/hub.ts';
import { demoImage } from '../support/images.ts';
import { Caddy } from '../support/parts/caddy.ts';
import { dockerOld, type Engine } from '../support/parts/docker.ts';
import { Registry } from '../support/parts/registry.ts';
import { ended, service } from '../support/rig.ts';
import { waitFor } from '../support/wait.ts';

const machine = readFileSync(join(repository, 'src/deployment/machine.h'), 'utf8');
const steps = [...machine.matchAll(/X\(STEP_\w+, "(\w+)"/g)].map((m) => m[1]!);
const LANES = 4;
const skip = dockerOld.skip || Registry.skip || Caddy.skip;

interface Lane {
  hub: Hub;
  caddy: Caddy;
  engine: Engine;
  name: string;
  domain: string;
}

async function here(hub: Hub): Promise<string | undefined> {
  const events = await hub.events();
  const { id } = await events.until((e) => e.id !== undefined);
  events.close();
  return id;
}

const engineSeen = (hub: Hub) => waitFor(async () => (await hub.ok('GET', '/system')).system.engine.available, { timeout: 30_000, what: 'the engine in the hub' });

/** Begins an update and waits until it has come to the step. */
async function beginUntil({ hub, name }: Lane, body: object, step: string): Promise<string> {
  const lastEventId = await here(hub);
  const { deployment_id } = await hub.ok('PATCH', '/services/{serviceId}', { params: { serviceId: name }, body });
  const events = await hub.events({ lastEventId, query: { types: 'deployment.*' } });
  const reached = await events.until(({ data }) => data.entityId === deployment_id && (data.data.status.step === step || data.data.status.state === 'completed'), { timeout: 60_000 });
  events.close();
  assert.equal(reached.data.data.status.step, step, `the step ${step} was seen`);
  return deployment_id;
}

/** One container, which the route leads to and which answers as the deployment's end says. */
async function whole({ hub, caddy, engine, name, domain }: Lane, turn: string | undefined): Promise<void> {
  let last = '';
  const look = async (): Promise<boolean> => {
    const now = await service(hub, name);
    const left = (await engine.containers()).filter((c) => c.Labels['hbcloud.service'] === name);
    const { route } = await hub.ok('GET', '/routes/{serviceId}', { params: { serviceId: name } });
    const answer = await caddy.get(domain, '/env?TURN');
    last = JSON.stringify({ left: left.map((c) => [c.Id, c.State]), now: now.container.id, route: [route.state, route.upstreams], address: now.networking.address, answer: [answer.status, answer.body], turn });
    return left.length === 1 && left[0].Id === now.container.id && left[0].State === 'running' && route.state === 'accepted'
      && JSON.stringify(route.upstreams) === JSON.stringify([now.networking.address]) && answer.status === 200 && (turn === undefined || answer.body.trim() === turn);
  };
  await waitFor(look, { timeout: 100_000, every: 250, what: 'a whole service' }).catch((error) => { throw new Error(`${error.message}\n${last}`); });
}

describe('kill -9 of the engine and of Caddy', { skip }, () => {
  let registry: Registry, shared: Engine;
  let images: string[];
  before(async () => {
    [registry, shared] = await Promise.all([Registry.start(), dockerOld.start()]);
    images = await Promise.all(['even', 'odd'].map(async (tag) => (await registry.push('demo', tag, demoImage({ version: tag }))).reference));
  });
  after(() => Promise.all([registry?.stop(), shared?.stop()]));

  async function lane(t: TestContext, name: string, engine: Engine, restartPolicy: 'always' | 'unless-stopped' = 'unless-stopped'): Promise<Lane> {
    const caddy = await Caddy.start();
    t.after(() => caddy.stop());
    const hub = await Hub.start({ dockerHost: engine.host, env: caddy.hubEnv });
    t.after(() => hub.discard());
    await engineSeen(hub);
    const domain = `${name}.example.org`;
    const healthCheck = { path: '/health', interval: 1, startPeriod: 20 };
    const body = { name, container: { image: images[1]!, restartPolicy, environment: { TURN: 'first' } }, networking: { internalPort: 8080, domains: [domain], healthCheck }, strategy: { drainTimeout: 5, stopGracePeriod: 3 } };
    const first = await ended(hub, (await hub.ok('POST', '/services', { body })).deployment_id);
    assert.equal(first.status.state, 'completed', JSON.stringify(first.status));
    return { hub, caddy, engine, name, domain };
  }

  /** The steps of one lane, each with a death in it. */
  async function go(t: TestContext, x: Lane, mine: string[], die: (x: Lane) => Promise<void>): Promise<void> {
    let turn = 'first';
    for (const [i, step] of mine.entries()) {
      await t.test(step, async () => {
        const body = { container: { image: images[i % 2]!, environment: { TURN: step } } };
        const id = await beginUntil(x, body, step);
        await die(x);
        const end = await ended(x.hub, id, 150_000);
        assert.match(end.status.state, /^(completed|rolled_back)$/, `${end.status.message}\n${end.status.logs.join('\n')}`);
        if (end.status.state === 'completed') turn = step;
        t.diagnostic(`${step}: ${end.status.state} ${end.status.message}`);
        await whole(x, turn);
        await engineSeen(x.hub);
      });
    }
  }

  const everyFourth = (at: number) => steps.filter((_, i) => i % LANES === at);

  test('the engine', { concurrency: LANES }, async (t) => {
    await Promise.all(Array.from({ length: LANES }, (_, at) => t.test(`lane ${at}`, async (t) => {
      // By the two ways in which an owner has his containers back after an engine's death: they live on, or are started again.
      const engine = await dockerOld.start(t, at % 2 ? ['--live-restore'] : []);
      const x = await lane(t, `engine-${at}`, engine, at % 2 ? 'unless-stopped' : 'always');
      await go(t, x, everyFourth(at), async () => { await engine.kill9(); await engine.resume(); });
      await x.hub.stop();
    })));
  });

  test('Caddy', { concurrency: LANES }, async (t) => {
    // The engine makes two networks of one name when two hubs want one at the same time: it is there before.
    await shared.call('POST', '/networks/create', { Name: 'hbcloud-production', Driver: 'bridge' });
    await Promise.all(Array.from({ length: LANES }, (_, at) => t.test(`lane ${at}`, async (t) => {
      const x = await lane(t, `caddy-${at}`, shared);
      await go(t, x, everyFourth(at), async ({ caddy, hub }) => {
        await caddy.halt('SIGKILL');
        await waitFor(async () => !(await hub.ok('GET', '/routes')).router.reached, { timeout: 30_000, what: 'the hub to see that Caddy is away' });
        await caddy.resume();
      });
      await x.hub.stop();
    })));
  });
});
