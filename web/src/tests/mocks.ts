/* Whole entities of which a test names only what it is about. */
import { vi } from 'vitest';
import type { Deployment, Node, Service, Session } from '@/api/types';

type Partly<T> = { [K in keyof T]?: T[K] extends unknown[] | null ? T[K] : T[K] extends object | null ? Partly<NonNullable<T[K]>> | null : T[K] };

function merge<T>(whole: T, part: Partly<T> | undefined): T {
  const result = { ...whole } as Record<string, unknown>;
  for (const [key, value] of Object.entries(part ?? {})) {
    const old = result[key];
    const deep = typeof value === 'object' && value !== null && !Array.isArray(value) && typeof old === 'object' && old !== null;
    result[key] = deep ? merge(old, value as Partly<typeof old>) : value;
  }
  return result as T;
}

const TIME = '2026-11-25T12:00:00.000Z';

const NODE: Node = {
  id: '0193a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b', name: 'attic', type: 'hub', provider: 'local', region: null, labels: {},
  resources: { cpu: 4, memory: 16.5, storage: 512, bandwidth: null },
  networking: { tailscaleIP: null, hostname: 'attic', addresses: ['192.168.1.20'] },
  engine: { kind: 'local' }, status: 'active',
  monitoring: { datadogHost: null, lastHealthCheck: TIME, uptime: 100 },
  metadata: { createdAt: TIME, updatedAt: TIME, lastSeen: TIME, osVersion: 'Debian 12', dockerVersion: '27.3.1', kernelVersion: '6.1.0', architecture: 'x86_64', engineName: 'docker', engineVersion: '27.3.1', version: '1.0.0' },
};
export const mockInfrastructureNode = (part?: Partly<Node>): Node => merge(NODE, part);

const SERVICE: Service = {
  id: '0193a1b2-8d4e-7f50-9b6c-7d8e9f0a1b2c', serviceId: 'hello', ordinal: 1, instances: { wanted: 1, running: 1, healthy: 1 }, placement: null, name: 'hello', type: 'web', nodeId: NODE.id, managed: true, environment: 'production', labels: {},
  container: {
    image: 'ghcr.io/example/hello', tag: '1.2', ports: [], environment: ['GREETING'], volumes: [{ source: 'hello-data', target: '/data' }, { source: '/srv/media', target: '/media' }],
    id: '5f2b8c0e9d7a', digest: null, command: null, resources: { cpu: null, memory: null }, state: 'running', restartCount: 0, createdAt: TIME, tty: false,
  },
  networking: {
    internalPort: 8080, domains: [], caddyConfig: null, url: 'http://127.0.0.1:32768', ports: [],
    healthCheck: { path: '/', interval: 10, timeout: 5, retries: 3, startPeriod: 30, command: null },
  },
  monitoring: { datadogService: null, consulServiceId: null, alerts: [] },
  status: { deployment: 'running', health: 'healthy', lastHealthCheck: TIME, uptime: 100, message: null },
  metadata: { version: '1.2', deployedAt: TIME, deployedBy: 'owner', createdAt: TIME, updatedAt: TIME },
};
export const mockService = (part?: Partly<Service>): Service => merge(SERVICE, part);

const DEPLOYMENT: Deployment = {
  id: '0193a1b2-9e5f-7061-8c7d-8e9f0a1b2c3d', serviceInstanceId: SERVICE.id, serviceName: 'hello', nodeId: NODE.id,
  deployment: { trigger: 'manual', pipeline: null, initiatedBy: 'owner', environment: 'production' },
  changes: { type: 'create', toVersion: '1.2', configChanges: [] },
  status: { state: 'initiated', progress: 0, logs: [], step: null },
  timing: { startedAt: TIME, phases: [] },
  monitoring: { preDeploy: { healthChecks: false, performanceBaseline: {} }, postDeploy: { healthVerification: false, performanceComparison: {}, alertsTriggered: [] } },
};
export const mockDeployment = (part?: Partly<Deployment>): Deployment => merge(DEPLOYMENT, part);

export const mockSession = (part?: Partly<Session>): Session =>
  merge({ id: 's1', role: 'admin', name: 'owner', expiresAt: '2099-01-01T00:00:00Z', csrfToken: 'csrf-1' }, part);

export interface Call {
  method: string;
  path: string;
  query: URLSearchParams;
  headers: Headers;
  body: unknown;
}
type Answer = { status?: number; body?: unknown } | undefined;

/* Takes the place of the network. What no answer is given for fails the test by a 500 that says so. */
export function mockHub(answer: (call: Call) => Answer): Call[] {
  const calls: Call[] = [];
  vi.stubGlobal('fetch', async (request: Request) => {
    const url = new URL(request.url);
    const text = await request.text();
    const call = { method: request.method, path: url.pathname, query: url.searchParams, headers: request.headers, body: text ? JSON.parse(text) : null };
    calls.push(call);
    const { status = 200, body } = answer(call) ?? { status: 500, body: mockError('NO_ANSWER', `the test has no answer for ${call.method} ${call.path}`) };
    return new Response(body === undefined ? null : JSON.stringify(body), { status, headers: { 'Content-Type': 'application/json' } });
  });
  return calls;
}

export const mockError = (code: string, message: string, details?: Record<string, string>) => ({
  error: { code, message, ...(details && { details }), timestamp: TIME, requestId: 'req-1', monitoring: {} },
});
