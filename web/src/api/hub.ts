/* Every call the dashboard makes, by name. */
import type { Page } from '@/state/entities';
import { client, idempotencyKey, take } from './client';
import type { AuditEntry, Credentials, Deployment, KeyCreate, MetricQuery, Node, NodeCreate, NodeUpdate, Service, ServiceRequest, ServiceUpdate } from './types';

const LIMIT = 200;
const page = (cursor: string | undefined) => ({ limit: LIMIT, ...(cursor ? { cursor } : {}) });

export type ServiceAction = 'start' | 'stop' | 'restart' | 'adopt';

export const hub = {
  // sessions
  session: async () => (await take(client.GET('/sessions/current'))).session,
  signIn: async (body: Credentials) => (await take(client.POST('/sessions', { body }))).session,
  signOut: () => take(client.DELETE('/sessions/current')),

  // nodes
  async nodes(cursor?: string, signal?: AbortSignal): Promise<Page<Node>> {
    const r = await take(client.GET('/infrastructure/nodes', { params: { query: page(cursor) }, signal }));
    return { items: r.nodes, next: r.next ?? null, total: r.metadata.total };
  },
  node: async (nodeId: string, signal?: AbortSignal) =>
    (await take(client.GET('/infrastructure/nodes/{nodeId}', { params: { path: { nodeId } }, signal }))).node,
  createNode: async (body: NodeCreate) =>
    (await take(client.POST('/infrastructure/nodes', { body, params: { header: { 'Idempotency-Key': idempotencyKey() } } }))).node,
  updateNode: async (nodeId: string, body: NodeUpdate) =>
    (await take(client.PATCH('/infrastructure/nodes/{nodeId}', { params: { path: { nodeId } }, body }))).node,
  deleteNode: (nodeId: string) => take(client.DELETE('/infrastructure/nodes/{nodeId}', { params: { path: { nodeId } } })),

  // services
  async services(cursor?: string, signal?: AbortSignal): Promise<Page<Service>> {
    const r = await take(client.GET('/services', { params: { query: page(cursor) }, signal }));
    const { healthy, unhealthy, unknown } = r.aggregated_health;
    return { items: r.services, next: r.next ?? null, total: healthy + unhealthy + unknown };
  },
  async servicesOn(nodeId: string, signal?: AbortSignal) {
    return (await take(client.GET('/services', { params: { query: { nodeId, limit: LIMIT } }, signal }))).services;
  },
  service: async (serviceId: string, signal?: AbortSignal) =>
    (await take(client.GET('/services/{serviceId}', { params: { path: { serviceId } }, signal }))).service,
  deploy: (body: ServiceRequest, key: string) =>
    take(client.POST('/services', { body, params: { header: { 'Idempotency-Key': key } } })),
  updateService: (serviceId: string, body: ServiceUpdate) => take(client.PATCH('/services/{serviceId}', { params: { path: { serviceId } }, body })),
  act: async (serviceId: string, action: ServiceAction) =>
    (await take(client.POST(`/services/{serviceId}/${action}`, { params: { path: { serviceId } } }))).service,
  removeService: (serviceId: string, confirm: string, volumes: string[]) =>
    take(client.DELETE('/services/{serviceId}', {
      params: { path: { serviceId }, query: { confirm, ...(volumes.length > 0 ? { volumes } : {}) } },
    })),
  async logs(serviceId: string, query: { tail?: number; since?: string; stream?: 'stdout' | 'stderr' | 'all' }, signal?: AbortSignal) {
    const reply = await take(client.GET('/services/{serviceId}/logs', {
      params: { path: { serviceId }, query: { ...query, timestamps: true } },
      headers: { Accept: 'application/json' },
      signal,
    }));
    if (typeof reply === 'string') throw new Error('The hub answered with text where frames were asked for.');
    return reply;
  },

  // deployments
  async deployments(cursor?: string, signal?: AbortSignal): Promise<Page<Deployment>> {
    const r = await take(client.GET('/deployments', { params: { query: page(cursor) }, signal }));
    return { items: r.deployments, next: r.next ?? null, total: null };
  },
  deploymentsOf: async (service: string, signal?: AbortSignal) =>
    (await take(client.GET('/deployments', { params: { query: { service_id: service, limit: 20 } }, signal }))).deployments,
  deploymentAnalytics: async (signal?: AbortSignal) =>
    (await take(client.GET('/deployments', { params: { query: { limit: 1 } }, signal }))).analytics,
  deployment: async (deploymentId: string, signal?: AbortSignal) =>
    (await take(client.GET('/deployments/{deploymentId}', { params: { path: { deploymentId } }, signal }))).deployment,

  // monitoring
  queryMetric: (query: MetricQuery, signal?: AbortSignal) => take(client.GET('/monitoring/query', { params: { query }, signal })),
  latest: async (name: string, signal?: AbortSignal) =>
    (await take(client.GET('/monitoring/metrics', { params: { query: { name, limit: 1000 } }, signal }))).metrics,

  // the hub itself
  system: async (signal?: AbortSignal) => (await take(client.GET('/system', { signal }))).system,
  config: async (signal?: AbortSignal) => (await take(client.GET('/config', { signal }))).settings,
  keys: async (signal?: AbortSignal) => (await take(client.GET('/keys', { params: { query: { limit: 1000 } }, signal }))).keys,
  createKey: (body: KeyCreate) => take(client.POST('/keys', { body })),
  revokeKey: (keyId: string) => take(client.DELETE('/keys/{keyId}', { params: { path: { keyId } } })),
  async audit(cursor?: string, signal?: AbortSignal): Promise<Page<AuditEntry>> {
    const r = await take(client.GET('/audit', { params: { query: { limit: 50, ...(cursor ? { cursor } : {}) } }, signal }));
    return { items: r.entries, next: r.next ?? null, total: null };
  },
  verifyAudit: () => take(client.GET('/audit/verify')),
};
