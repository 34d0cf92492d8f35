// What a switch takes behind the real Caddy, and how long five hundred lost routes are away.
import { randomUUID } from 'node:crypto';
import { Hub } from '../tests/support/hub.ts';
import { Caddy } from '../tests/support/parts/caddy.ts';
import { dockerOld } from '../tests/support/parts/docker.ts';
import { deployment } from '../tests/support/rig.ts';
import { waitFor } from '../tests/support/wait.ts';
import { unlimited } from './data.ts';
import { importDemo, IMAGE } from './deploy.ts';
import { median } from './measure.ts';
import type { Row } from './table.ts';

const ROUTES = 500;

async function end(hub: Hub, id: string) {
  const done = await waitFor(async () => { const d = await deployment(hub, id); return ['completed', 'failed', 'rolled_back'].includes(d.status.state) && d; }, { timeout: 120_000, every: 20, what: 'the deployment' });
  if (done.status.state !== 'completed') throw new Error(`${done.status.message}\n${done.status.logs.join('\n')}`);
  return done;
}

export async function measureRoutes(quick: boolean): Promise<Row[]> {
  const [engine, caddy] = await Promise.all([dockerOld.start(), Caddy.start()]);
  const hub = await Hub.start({ dockerHost: engine.host, env: { ...unlimited, ...caddy.hubEnv } });
  try {
    await importDemo(engine);
    await waitFor(async () => (await hub.ok('GET', '/system')).system.engine.available, { what: 'the engine in the hub' });
    // One service with many domains has one route; five hundred services would need as many containers, so the domains stand for them.
    const body = (i: number) => ({
      name: `routed-${i}`, container: { image: IMAGE }, networking: { internalPort: 8080, domains: Array.from({ length: 50 }, (_, k) => `${i}-${k}.example.org`), healthCheck: { path: '/health' } },
      strategy: { drainTimeout: 0, stopGracePeriod: 0 },
    });
    const services = await Promise.all(Array.from({ length: ROUTES / 50 }, (_, i) => hub.ok('POST', '/services', { body: body(i) })));
    for (const { deployment_id } of services) await end(hub, deployment_id);
    const times: number[] = [];
    for (let i = 0; i < (quick ? 3 : 10); i++) {
      const { deployment_id } = await hub.ok('PATCH', '/services/{serviceId}', { params: { serviceId: 'routed-0' }, body: { container: { environment: { TURN: randomUUID() } } } });
      times.push(Number((await end(hub, deployment_id)).receipt?.steps?.['switch']));
    }
    const began = performance.now();
    await caddy.restart();
    await waitFor(async () => (await caddy.get(`${ROUTES / 50 - 1}-49.example.org`, '/version')).status === 200, { timeout: 30_000, every: 20, what: 'the last route' });
    return [
      { case: 'routes', measure: 'switch of a route', value: median(times), unit: 'ms', note: `median of ${times.length}; a rename, no reload` },
      { case: 'routes', measure: `${ROUTES} domains whole again after Caddy was started anew without them`, value: (performance.now() - began) / 1000, unit: 's', goal: { atMost: 10 } },
    ];
  } finally {
    await hub.discard();
    await Promise.all([caddy.stop(), engine.stop()]);
  }
}
