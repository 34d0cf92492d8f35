// Ten thousand health checks each ten seconds: what they cost the hub.
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { Hub } from '../tests/support/hub.ts';
import { unlimited } from './data.ts';
import { cpuSeconds } from './measure.ts';
import type { Row } from './table.ts';

const CHECKS = 10_000;
const names = 'id, service_id, name, type, node_id, managed, environment, container_config, networking_config, monitoring_config, status, metadata, labels, version, created_at, updated_at';

function fill(dataDir: string, port: number): void {
  const db = new DatabaseSync(join(dataDir, 'hub.db'));
  try {
    const node = db.prepare("SELECT id FROM infrastructure_nodes WHERE type = 'hub'").get() as { id: string };
    const add = db.prepare(`INSERT INTO service_instances (${names}) VALUES (${names.split(',').map(() => '?').join(', ')})`);
    const now = Date.now();
    const at = new Date(now).toISOString();
    db.exec('PRAGMA synchronous = OFF; BEGIN');
    for (let i = 0; i < CHECKS; i++) {
      const published = [{ container: 8080, host: port, protocol: 'tcp', address: '127.0.0.1' }];
      const container = {
        image: 'bench', tag: '1', ports: published, environment: [], volumes: [], id: randomUUID().replaceAll('-', '').repeat(2), digest: null, command: null,
        resources: { cpu: null, memory: null }, state: 'running', restartCount: 0, createdAt: at, tty: false,
      };
      const healthCheck = { path: '/health', interval: 10, timeout: 5, retries: 3, startPeriod: 0, command: null };
      const networking = { internalPort: 8080, domains: [], caddyConfig: null, healthCheck, url: `http://127.0.0.1:${port}`, ports: published };
      const status = { deployment: 'running', health: 'healthy', lastHealthCheck: at, uptime: 100, message: null };
      const metadata = { version: '1', deployedAt: at, deployedBy: 'bench', createdAt: at, updatedAt: at };
      const json = [container, networking, { datadogService: null, consulServiceId: null, alerts: [] }, status, metadata, {}].map((x) => JSON.stringify(x));
      add.run(randomUUID(), `checked-${i}`, `checked-${i}`, 'web', node.id, 1, 'production', ...json, 1, now, now);
    }
    db.exec('COMMIT');
  } finally {
    db.close();
  }
}

export async function measureChecks(quick: boolean): Promise<Row[]> {
  let asked = 0;
  const server = createServer((_, reply) => { asked++; reply.writeHead(200, { 'content-length': '0' }).end(); });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const hub = await Hub.start({ env: unlimited, timeout: 60_000 });
  try {
    await hub.stop();
    fill(hub.dataDir, (server.address() as AddressInfo).port);
    await hub.restart();
    await sleep(15_000);
    const seconds = quick ? 20 : 60;
    const [before, asksBefore] = [cpuSeconds(hub.pid), asked];
    await sleep(seconds * 1000);
    const [used, asks] = [cpuSeconds(hub.pid) - before, asked - asksBefore];
    const expected = (CHECKS * seconds) / 10;
    if (asks < expected * 0.95) throw new Error(`only ${asks} of ${expected} checks were made`);
    return [{ case: 'checks', measure: '10,000 checks each 10 s, CPU', value: (used / seconds) * 100, unit: '% of a core', goal: { atMost: 15 }, note: `${asks} checks in ${seconds} s` }];
  } finally {
    await hub.discard();
    server.closeAllConnections();
    server.close();
  }
}
