/* A small cloud that does not exist, for work on the dashboard without a hub. */
import type { components } from '../src/api/schema.gen.ts';

type Schemas = components['schemas'];
export type Node = Schemas['InfrastructureNode'];
export type Service = Schemas['ServiceInstance'];
export type Deployment = Schemas['DeploymentEvent'];

let counter = 0;
export const id = () => `0193a1b2-7c3d-7e4f-8a5b-${(++counter).toString(16).padStart(12, '0')}`;
export const at = (agoSeconds = 0) => new Date(Date.now() - agoSeconds * 1000).toISOString();

export function node(name: string, more: Partial<Node> = {}): Node {
  return {
    id: id(), name, type: 'spoke', provider: 'hetzner', region: 'fsn1', labels: {},
    resources: { cpu: 4, memory: 8.3, storage: 160, bandwidth: 20000 },
    networking: { tailscaleIP: null, hostname: name, addresses: ['10.0.0.7', 'fd00::7'] },
    engine: { kind: 'local' },
    status: 'active',
    monitoring: { datadogHost: null, lastHealthCheck: at(4), uptime: 99.95 },
    metadata: {
      createdAt: at(2_000_000), updatedAt: at(10), lastSeen: at(4), osVersion: 'Debian GNU/Linux 12 (bookworm)', dockerVersion: '27.3.1',
      kernelVersion: '6.1.0-27-amd64', architecture: 'x86_64', engineName: 'docker', engineVersion: '27.3.1', version: '1.0.0',
    },
    ...more,
  };
}

export function service(name: string, nodeId: string, image: string, more: Partial<Service> = {}, port = 8080): Service {
  const host = 32768 + (counter % 900);
  const [base = image, tag = 'latest'] = image.split(':');
  return {
    id: id(), serviceId: name, ordinal: 1, instances: { wanted: 1, running: 1, healthy: 1 }, placement: null, name, type: 'web', nodeId, managed: true, environment: 'production', labels: {},
    container: {
      image: base, tag, ports: [], environment: ['GREETING', 'LOG_LEVEL'], volumes: [{ source: `${name}-data`, target: '/data' }, { source: '/srv/shared', target: '/srv', readonly: true }],
      id: '5f2b8c0e9d7a', digest: 'sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08', command: null,
      resources: { cpu: 0.5, memory: 256 }, state: 'running', restartCount: 0, createdAt: at(80_000), tty: false,
    },
    networking: {
      internalPort: port, domains: [`${name}.example.org`], caddyConfig: null,
      healthCheck: { path: '/', interval: 10, timeout: 5, retries: 3, startPeriod: 30, command: null },
      url: `http://127.0.0.1:${host}`, ports: [{ container: port, host, protocol: 'tcp', address: '127.0.0.1' }],
    },
    monitoring: { datadogService: null, consulServiceId: null, alerts: [] },
    status: { deployment: 'running', health: 'healthy', lastHealthCheck: at(6), uptime: 99.98, message: null },
    metadata: { version: tag, deployedAt: at(80_000), deployedBy: 'owner', createdAt: at(800_000), updatedAt: at(60) },
    ...more,
  };
}

/* A switch of ten seconds, twenty probes a second. */
function receipt(): NonNullable<Deployment['receipt']> {
  const points = Array.from({ length: 200 }, (_, i) => [i * 50, 3 + ((i * 7919) % 13) / 4 + (i > 80 && i < 90 ? 5 : 0), 0, i < 80 ? 0 : i < 90 ? 1 : 2]);
  return {
    strategy: 'blue-green', points,
    probes: { before: { sent: 80, failed: 0, p50: 4.1, p99: 6.2 }, during: { sent: 10, failed: 0, p50: 9.3, p99: 11.1 }, after: { sent: 110, failed: 0, p50: 4, p99: 6.4 } },
    drain: { durationMs: 1840, forced: false }, bound: { maxFailed: 0, maxLatencyRatio: 3, held: true, reason: null }, reloads: 0, steps: { pull: 6100, check: 2900, switch: 31, verify: 4100 },
  };
}

export function deployment(s: Service, more: Partial<Deployment> = {}): Deployment {
  return {
    id: id(), serviceInstanceId: s.id, serviceName: s.name, nodeId: s.nodeId,
    deployment: { trigger: 'manual', pipeline: null, initiatedBy: 'owner', environment: 'production' },
    changes: {
      type: 'create', toVersion: s.container.tag,
      configChanges: [{ key: 'GREETING', newValue: '***', source: 'api' }],
      imageChanges: { newImage: `${s.container.image}:${s.container.tag}`, registry: 'docker.io' },
    },
    status: { state: 'completed', progress: 100, message: `${s.name} ${s.container.tag} serves.`, logs: ['validated the request', 'pulled 6 layers, 18 MiB', 'started 5f2b8c0e9d7a', 'healthy after 2 checks'], step: null },
    timing: {
      startedAt: at(80_010), completedAt: at(80_000), duration: 9_840,
      phases: [
        { name: 'validate', duration: 12, status: 'success' }, { name: 'resolve', duration: 240, status: 'success' }, { name: 'pull', duration: 6100, status: 'success' },
        { name: 'create', duration: 180, status: 'success' }, { name: 'start', duration: 310, status: 'success' }, { name: 'check', duration: 2900, status: 'success' }, { name: 'register', duration: 0, status: 'skipped' },
      ],
    },
    receipt: receipt(),
    monitoring: { preDeploy: { healthChecks: false, performanceBaseline: {} }, postDeploy: { healthVerification: true, performanceComparison: {}, alertsTriggered: [] } },
    ...more,
  };
}

export function cloud() {
  const hub = node('attic', {
    type: 'hub', provider: 'local', region: null, labels: { room: 'attic', power: 'ups' }, resources: { cpu: 8, memory: 33.5, storage: 1024, bandwidth: null },
  });
  if (process.env.MOCK_EMPTY) return { nodes: [hub], services: [] as Service[], deployments: [] as Deployment[] };
  const spokes = [
    node('falkenstein-01'), node('amsterdam-01', { provider: 'digitalocean', region: 'ams3', monitoring: { datadogHost: 'amsterdam-01', lastHealthCheck: at(3), uptime: 99.2 } }),
    node('helsinki-01', { region: 'hel1', status: 'degraded' }), node('lab', { type: 'experimentation', provider: 'azure', region: 'westeurope', status: 'maintenance' }),
    node('cellar', { provider: 'local', region: null, status: 'offline', monitoring: { datadogHost: null, lastHealthCheck: null, uptime: null }, resources: { cpu: 2, memory: 4, storage: 64, bandwidth: null },
      metadata: { ...hub.metadata, lastSeen: null, osVersion: null, kernelVersion: null, dockerVersion: null, engineName: null, engineVersion: null, version: null } }),
  ];
  const nodes = process.env.MOCK_SOLO ? [hub] : [hub, ...spokes];
  const on = (i: number) => nodes[i % nodes.length]?.id ?? hub.id;
  const services = [
    service('falkordb-browser', on(0), 'ghcr.io/hbohlen/falkordb-browser:1.4'),
    service('notes', on(0), 'ghcr.io/example/notes:2.1.0'),
    service('metrics-proxy', on(1), 'caddy:2.8', { type: 'utility' }),
    service('blog', on(1), 'ghcr.io/example/blog:2026.11'),
    service('postgres', on(2), 'postgres:16', { type: 'database', managed: false, networking: { ...service('x', on(0), 'x').networking, url: 'tcp://127.0.0.1:5432', domains: [] } }),
    service('queue', on(2), 'redis:7-alpine', { type: 'cache', status: { deployment: 'stopped', health: 'unknown', lastHealthCheck: null, uptime: null, message: 'Stopped by owner.' } }),
    service('thumbnailer', on(3), 'ghcr.io/example/thumbnailer:0.9', { type: 'api', status: { deployment: 'running', health: 'unhealthy', lastHealthCheck: at(9), uptime: 87.4, message: 'The last 4 checks of GET / answered 502.' } }),
  ];
  const [first, second, third] = services as [Service, Service, Service];
  const deployments = [
    deployment(second, { changes: { type: 'update', fromVersion: '2.0.3', toVersion: '2.1.0', configChanges: [], imageChanges: { oldImage: 'ghcr.io/example/notes:2.0.3', newImage: 'ghcr.io/example/notes:2.1.0', registry: 'ghcr.io' } }, timing: { ...deployment(second).timing, startedAt: at(1200), completedAt: at(1190) } }),
    deployment(third, {
      status: { state: 'failed', progress: 40, message: 'The registry docker.io does not know caddy:2.88.', logs: ['validated the request', 'asking docker.io for caddy:2.88', 'manifest unknown'], step: null },
      timing: { ...deployment(third).timing, startedAt: at(9000), duration: 1900, phases: [{ name: 'validate', duration: 10, status: 'success' }, { name: 'resolve', duration: 1890, status: 'failed' }] },
      monitoring: { preDeploy: { healthChecks: true, performanceBaseline: {} }, postDeploy: { healthVerification: false, performanceComparison: {}, alertsTriggered: [] } },
    }),
    deployment(first),
  ];
  return { nodes, services, deployments };
}
