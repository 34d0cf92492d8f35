// Nodes and services as the hub itself would have stored them, written into the database of a hub that is stopped.
import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { Hub, type HubOptions } from '../tests/support/hub.ts';

const pick = <T>(values: T[], i: number): T => values[i % values.length]!;
const digits = (i: number): string => String(i).padStart(6, '0');

function nodeColumns(i: number, now: number): (string | number | null)[] {
  const at = new Date(now - i * 60_000).toISOString();
  const resources = { cpu: pick([2, 4, 8], i), memory: pick([4, 8, 16, 32], i), storage: 160, bandwidth: 20_000 };
  const networking = { tailscaleIP: `100.64.${(i >> 8) & 255}.${i & 255}`, publicIP: `203.0.113.${i & 255}`, hostname: `node-${digits(i)}.example.net`, addresses: [`10.0.${(i >> 8) & 255}.${i & 255}`, `fd00::${i.toString(16)}`] };
  const monitoring = { datadogHost: null, lastHealthCheck: at, uptime: 99.95 };
  const metadata = {
    createdAt: at, updatedAt: at, lastSeen: at, osVersion: 'Debian GNU/Linux 12 (bookworm)', dockerVersion: '29.0.0', kernelVersion: '6.1.0-32-amd64',
    architecture: 'x86_64', engineName: 'docker', engineVersion: '29.0.0', version: '0.1.0',
  };
  const labels = { room: pick(['attic', 'cellar', 'office'], i), rack: `r${i % 12}` };
  const json = [resources, networking].map((x) => JSON.stringify(x));
  return [
    randomUUID(), `node-${digits(i)}`, pick(['spoke', 'experimentation'], i), pick(['hetzner', 'digitalocean', 'azure'], i), pick(['fsn1', 'nbg1', 'ams3'], i),
    ...json, pick(['active', 'active', 'active', 'offline'], i), JSON.stringify(monitoring), JSON.stringify(metadata), JSON.stringify(labels), 1, now, now,
  ];
}

function serviceColumns(i: number, nodeId: string, now: number): (string | number | null)[] {
  const at = new Date(now - i * 1000).toISOString();
  const name = `${pick(['journal', 'photos', 'wiki', 'mail', 'metrics', 'cache', 'search'], i)}-${digits(i)}`;
  const container = {
    image: `registry.example.net/team/${name}`, tag: `1.${i % 40}.0`, ports: [{ container: 8080, protocol: 'tcp', host: 20_000 + (i % 10_000), address: '127.0.0.1' }], environment: [], volumes: [],
    id: randomUUID().replaceAll('-', '').repeat(2), digest: null, command: null, resources: { cpu: 0.5, memory: 256 }, state: null, restartCount: 0, createdAt: at, tty: false,
  };
  const networking = {
    internalPort: 8080, domains: [`${name}.example.net`], caddyConfig: null,
    healthCheck: { path: '/health', interval: 10, timeout: 5, retries: 3, startPeriod: 30, command: null }, url: null, ports: [],
  };
  const status = { deployment: pick(['running', 'running', 'running', 'stopped', 'failed'], i), health: pick(['healthy', 'healthy', 'unhealthy', 'unknown'], i), lastHealthCheck: at, uptime: 99.9, message: null };
  const metadata = { version: `1.${i % 40}.0`, deployedAt: at, deployedBy: 'bench', createdAt: at, updatedAt: at };
  return [
    randomUUID(), name, name, pick(['web', 'api', 'database', 'cache', 'monitoring', 'utility'], i), nodeId, i % 2, null, JSON.stringify(container), JSON.stringify(networking),
    JSON.stringify({ datadogService: null, consulServiceId: null, alerts: [] }), JSON.stringify(status), JSON.stringify(metadata), JSON.stringify({ team: pick(['red', 'blue'], i) }), 1, now, now,
  ];
}

const nodeNames = 'id, name, type, provider, region, resources, networking, status, monitoring, metadata, labels, version, created_at, updated_at';
const serviceNames =
  'id, service_id, name, type, node_id, managed, environment, container_config, networking_config, monitoring_config, status, metadata, labels, version, created_at, updated_at';
const marks = (names: string): string => names.split(',').map(() => '?').join(', ');

/** Adds nodes and services. They come in no order, as a database that grew has them. */
function fill(dataDir: string, nodes: number, services: number): void {
  const db = new DatabaseSync(join(dataDir, 'hub.db'));
  try {
    const now = Date.now();
    db.exec('PRAGMA synchronous = OFF; BEGIN');
    const addNode = db.prepare(`INSERT INTO infrastructure_nodes (${nodeNames}) VALUES (${marks(nodeNames)})`);
    const addService = db.prepare(`INSERT INTO service_instances (${serviceNames}) VALUES (${marks(serviceNames)})`);
    const ids: string[] = [];
    for (let i = 0; i < nodes; i++) {
      const columns = nodeColumns(i, now);
      ids.push(columns[0] as string);
      addNode.run(...columns);
    }
    for (let i = 0; i < services; i++) addService.run(...serviceColumns(i, pick(ids, i), now));
    db.exec('COMMIT');
  } finally {
    db.close();
  }
}

/** Replies are not checked and a key may ask without end, as else the checking and the refusals would be measured. */
export const unlimited = { HBCLOUD_VALIDATE_REPLIES: '0', HBCLOUD_RATE_KNOWN: '0' };

/** A hub whose database `rows` filled while it was stopped. */
async function filled({ env, ...options }: HubOptions, rows: (hub: Hub) => void): Promise<Hub> {
  const hub = await Hub.start({ ...options, env: { ...unlimited, ...env }, timeout: 60_000 });
  try {
    await hub.stop();
    rows(hub);
    await hub.restart();
    return hub;
  } catch (error) {
    await hub.discard();
    throw error;
  }
}

/** A hub that knows so many nodes (its own is one of them) and services. */
export const hubWith = (nodes: number, services: number, options: HubOptions = {}): Promise<Hub> => filled(options, (hub) => fill(hub.dataDir, nodes - 1, services));

export const routedDomain = (i: number): string => `routed-${digits(i)}.example.org`;

/** A hub that wants so many routes, a domain each, that all lead to one address; their services have no rows. */
export const hubWithRoutes = (routes: number, address: string, options: HubOptions): Promise<Hub> =>
  filled(options, (hub) => {
    const db = new DatabaseSync(join(hub.dataDir, 'hub.db'));
    try {
      db.exec('PRAGMA synchronous = OFF; BEGIN');
      const add = db.prepare("INSERT INTO gateway_routes (service_id, name, domains, networking, slots, judged, accepted, reason, updated_at) VALUES (?, ?, ?, '{}', 12, 0, 0, '', ?)");
      for (let i = 0; i < routes; i++) {
        const id = randomUUID();
        add.run(id, `routed-${digits(i)}`, JSON.stringify([routedDomain(i)]), Date.now());
        for (let slot = 1; slot <= 12; slot++) writeFileSync(join(hub.dataDir, 'upstreams', `${id}.${slot}`), address);
      }
      db.exec('COMMIT');
    } finally {
      db.close();
    }
  });
