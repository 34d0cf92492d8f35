// What a switch takes behind the real Caddy beside five hundred routes, and how long those are away when Caddy lost them.
import { randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Hub } from '../tests/support/hub.ts';
import { Caddy } from '../tests/support/parts/caddy.ts';
import { dockerOld } from '../tests/support/parts/docker.ts';
import { waitFor } from '../tests/support/wait.ts';
import { hubWithRoutes, routedDomain } from './data.ts';
import { completed, importDemo, IMAGE } from './deploy.ts';
import { median } from './measure.ts';
import type { Row } from './table.ts';

const ROUTES = 500;
const COMPARED_EACH_MS = 2000;

async function switches(hub: Hub, rounds: number): Promise<number[]> {
  const body = {
    name: 'switched', container: { image: IMAGE }, networking: { internalPort: 8080, domains: ['switched.example.org'], healthCheck: { path: '/health' } },
    strategy: { drainTimeout: 0, stopGracePeriod: 0 },
  };
  await completed(hub, (await hub.ok('POST', '/services', { body })).deployment_id);
  const times: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const { deployment_id } = await hub.ok('PATCH', '/services/{serviceId}', { params: { serviceId: 'switched' }, body: { container: { environment: { TURN: randomUUID() } } } });
    times.push(Number((await completed(hub, deployment_id)).receipt?.steps?.['switch']));
  }
  return times;
}

const serves = async (caddy: Caddy, i: number): Promise<boolean> => (await caddy.get(routedDomain(i))).body === 'routed';

/** Until each route has answered: a change of Caddy's configuration may cost one its connection. */
async function whole(caddy: Caddy): Promise<void> {
  for (let i = 0; i < ROUTES; i++) await waitFor(() => serves(caddy, i), { timeout: 60_000, every: 10, what: `the route of ${routedDomain(i)}` });
}

/** Seconds from a Caddy that is ready and knows none of the routes to one that serves all of them. */
async function recovery(caddy: Caddy): Promise<number> {
  await caddy.halt();
  await caddy.resume();
  const began = performance.now();
  if (await serves(caddy, ROUTES - 1)) throw new Error('the routes were there already');
  await whole(caddy);
  return (performance.now() - began) / 1000;
}

export async function measureRoutes(quick: boolean): Promise<Row[]> {
  const server: Server = createServer((_, answer) => answer.end('routed')).listen(0, '127.0.0.1');
  const [engine, caddy] = await Promise.all([dockerOld.start(), Caddy.start()]);
  const hub = await hubWithRoutes(ROUTES, `127.0.0.1:${(server.address() as AddressInfo).port}`, { dockerHost: engine.host, env: caddy.hubEnv });
  try {
    await importDemo(engine);
    await waitFor(async () => (await hub.ok('GET', '/system')).system.engine.available, { what: 'the engine in the hub' });
    await whole(caddy);
    const times = await switches(hub, quick ? 3 : 10);
    const away: number[] = [];
    for (let i = 0; i < (quick ? 3 : 10); i++) {
      await sleep(Math.random() * COMPARED_EACH_MS); // at any moment between two comparisons
      away.push(await recovery(caddy));
    }
    return [
      { case: 'routes', measure: `switch of a route beside ${ROUTES} others`, value: median(times), unit: 'ms', note: `median of ${times.length}; a rename, no reload` },
      { case: 'routes', measure: `${ROUTES} routes whole again after Caddy was started anew without them, the slowest`, value: Math.max(...away), unit: 's', goal: { atMost: 10 }, note: `of ${away.length}, median ${median(away).toFixed(2)} s` },
    ];
  } finally {
    await hub.discard();
    await Promise.all([caddy.stop(), engine.stop()]);
    server.close();
  }
}
