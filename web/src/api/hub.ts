/* Every call the dashboard makes, by name. */
import type { Page } from '@/state/entities';
import { client, idempotencyKey, take } from './client';
import type { AuditEntry, Credentials, Deployment, JobState, KeyCreate, MetricQuery, Node, NodeCreate, NodeUpdate, Plan, Service, ServiceDeployed, ServiceRequest, ServiceUpdate } from './types';

const LIMIT = 200;
const page = (cursor: string | undefined) => ({ limit: LIMIT, ...(cursor ? { cursor } : {}) });

export type ServiceAction = 'start' | 'stop' | 'restart' | 'adopt';

/* The same operation answers a plan or a deployment, as it was asked. */
function planOf(reply: ServiceDeployed | { plan: Plan }): Plan {
  if (!('plan' in reply)) throw new Error('The hub deployed where a plan was asked for.');
  return reply.plan;
}
function deployedOf(reply: ServiceDeployed | { plan: Plan }): ServiceDeployed {
  if ('plan' in reply) throw new Error('The hub answered a plan where a deployment was asked for.');
  return reply;
}

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
  deploy: async (body: ServiceRequest, key: string) =>
    deployedOf(await take(client.POST('/services', { body, params: { header: { 'Idempotency-Key': key } } }))),
  updateService: async (serviceId: string, body: ServiceUpdate) =>
    deployedOf(await take(client.PATCH('/services/{serviceId}', { params: { path: { serviceId } }, body }))),
  async updatePlan(serviceId: string, body: ServiceUpdate) {
    const reply = await take(client.PATCH('/services/{serviceId}', { params: { path: { serviceId }, query: { plan: true } }, body }));
    return planOf(reply);
  },
  releases: async (serviceId: string, signal?: AbortSignal) =>
    (await take(client.GET('/services/{serviceId}/releases', { params: { path: { serviceId } }, signal }))).releases,
  async rollbackPlan(serviceId: string, release: number) {
    return planOf(await take(client.POST('/services/{serviceId}/rollback', { params: { path: { serviceId }, query: { plan: true } }, body: { release } })));
  },
  async rollback(serviceId: string, release: number) {
    const reply = await take(client.POST('/services/{serviceId}/rollback', {
      params: { path: { serviceId }, header: { 'Idempotency-Key': idempotencyKey() } }, body: { release },
    }));
    return deployedOf(reply);
  },
  async act(serviceId: string, action: ServiceAction) {
    const reply = await take(client.POST(`/services/{serviceId}/${action}`, { params: { path: { serviceId } } }));
    if ('plan' in reply) throw new Error('The hub answered a plan where an action was asked for.');
    return reply.service;
  },
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
  cancelDeployment: (deploymentId: string) => take(client.POST('/deployments/{deploymentId}/cancel', { params: { path: { deploymentId } } })),
  deployment: async (deploymentId: string, signal?: AbortSignal) =>
    (await take(client.GET('/deployments/{deploymentId}', { params: { path: { deploymentId } }, signal }))).deployment,

  // monitoring
  queryMetric: (query: MetricQuery, signal?: AbortSignal) => take(client.GET('/monitoring/query', { params: { query }, signal })),
  latest: async (name: string, signal?: AbortSignal) =>
    (await take(client.GET('/monitoring/metrics', { params: { query: { name, limit: 1000 } }, signal }))).metrics,

  // the hub itself
  system: async (signal?: AbortSignal) => (await take(client.GET('/system', { signal }))).system,
  config: async (signal?: AbortSignal) => (await take(client.GET('/config', { signal }))).settings,
  routes: (signal?: AbortSignal) => take(client.GET('/routes', { params: { query: { limit: 1000 } }, signal })),
  certificates: async (signal?: AbortSignal) => (await take(client.GET('/certificates', { signal }))).certificates,
  repair: (serviceId: string) => take(client.POST('/services/{serviceId}/repair', { params: { path: { serviceId } } })),
  ciApprovals: async (signal?: AbortSignal) => (await take(client.GET('/ci/approvals', { params: { query: { limit: 50 } }, signal }))).approvals,
  ciRuns: async (signal?: AbortSignal) => (await take(client.GET('/ci/runs', { params: { query: { limit: 50 } }, signal }))).runs,
  ciRules: async (signal?: AbortSignal) => (await take(client.GET('/ci/rules', { signal }))).rules,
  decide: (approvalId: string, verb: 'approve' | 'reject') => take(client.POST(`/ci/approvals/{approvalId}/${verb}`, { params: { path: { approvalId } } })),
  volumes: async (signal?: AbortSignal) => (await take(client.GET('/volumes', { signal }))).volumes,
  removeVolume: (volumeName: string, node: string) =>
    take(client.DELETE('/volumes/{volumeName}', { params: { path: { volumeName }, query: { confirm: volumeName, node } } })),
  snapshotVolume: (volumeName: string, node: string) =>
    take(client.POST('/volumes/{volumeName}/snapshots', { params: { path: { volumeName }, query: { node } } })),
  jobs: async (state: JobState | undefined, signal?: AbortSignal) =>
    take(client.GET('/jobs', { params: { query: { limit: 100, ...(state ? { state } : {}) } }, signal })),
  cancelJob: (jobId: string) => take(client.POST('/jobs/{jobId}/cancel', { params: { path: { jobId } } })),
  retryJob: (jobId: string) => take(client.POST('/jobs/{jobId}/retry', { params: { path: { jobId } } })),
  schedules: async (signal?: AbortSignal) => (await take(client.GET('/schedules', { signal }))).schedules,
  secrets: async (signal?: AbortSignal) => (await take(client.GET('/secrets', { params: { query: { limit: 1000 } }, signal }))).secrets,
  setSecret: (secretName: string, value: string) => take(client.PUT('/secrets/{secretName}', { params: { path: { secretName } }, body: { value } })),
  deleteSecret: (secretName: string) => take(client.DELETE('/secrets/{secretName}', { params: { path: { secretName } } })),
  registries: async (signal?: AbortSignal) => (await take(client.GET('/registries', { signal }))).registries,
  setRegistry: (registryHost: string, username: string, password: string) =>
    take(client.PUT('/registries/{registryHost}', { params: { path: { registryHost } }, body: { username, password } })),
  deleteRegistry: (registryHost: string) => take(client.DELETE('/registries/{registryHost}', { params: { path: { registryHost } } })),
  keys: async (signal?: AbortSignal) => (await take(client.GET('/keys', { params: { query: { limit: 1000 } }, signal }))).keys,
  createKey: (body: KeyCreate) => take(client.POST('/keys', { body })),
  revokeKey: (keyId: string) => take(client.DELETE('/keys/{keyId}', { params: { path: { keyId } } })),
  async audit(cursor?: string, signal?: AbortSignal): Promise<Page<AuditEntry>> {
    const r = await take(client.GET('/audit', { params: { query: { limit: 50, ...(cursor ? { cursor } : {}) } }, signal }));
    return { items: r.entries, next: r.next ?? null, total: null };
  },
  verifyAudit: () => take(client.GET('/audit/verify')),
};
