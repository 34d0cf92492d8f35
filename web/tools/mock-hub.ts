/*
 * A stand-in for the hub, for work on the dashboard only: `npm run mock`, then `npm run dev` or the built files here.
 * Any API key signs in, except "wrong". MOCK_EMPTY=1 has one node and nothing else, MOCK_SOLO=1 one node with services.
 */
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { at, cloud, deployment, id, node, service, type Deployment } from './mock-data.ts';
import { now, query } from './mock-metrics.ts';
import type { components } from '../src/api/schema.gen.ts';

const port = Number(process.env.PORT ?? 3000);
const { nodes, services, deployments } = cloud();
const empty = Boolean(process.env.MOCK_EMPTY);
const session = { id: id(), role: process.env.MOCK_ROLE ?? 'admin', name: 'owner', expiresAt: at(-86_400), csrfToken: 'mock-csrf' };
const keys: Record<string, unknown>[] = [
  { id: id(), name: 'owner', prefix: 'hbc_4f2a', role: 'admin', createdAt: at(2e6), createdBy: 'hbcloud', lastUsedAt: at(30) },
  { id: id(), name: 'laptop', prefix: 'hbc_91cc', role: 'operator', createdAt: at(9e5), createdBy: 'owner', expiresAt: at(-7e6), lastUsedAt: at(4000) },
  { id: id(), name: 'old ci', prefix: 'hbc_0b7e', role: 'operator', createdAt: at(3e6), createdBy: 'owner', revokedAt: at(1e6) },
];
const clients = new Set<ServerResponse>();
let eventId = 0;

function emit(type: string, entityId: string | null, data: unknown) {
  const event = { id: String(++eventId), type, at: at(), entityType: type.split('.')[0], entityId, data };
  for (const c of clients) c.write(`id: ${event.id}\nevent: ${type}\ndata: ${JSON.stringify(event)}\n\n`);
}

function send(res: ServerResponse, status: number, body?: unknown, headers: Record<string, string> = {}) {
  res.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store', ...headers });
  res.end(body === undefined ? undefined : JSON.stringify(body));
}

function refuse(res: ServerResponse, status: number, code: string, message: string, details?: Record<string, string>) {
  send(res, status, { error: { code, message, ...(details && { details }), timestamp: at(), requestId: id(), monitoring: {} } });
}

async function body(req: IncomingMessage) {
  let text = '';
  for await (const chunk of req) text += String(chunk);
  return text ? JSON.parse(text) : {};
}

/* A deployment as it goes on, a step each half second. */
function run(d: Deployment, fail: boolean) {
  const steps: [state: Deployment['status']['state'], step: string, progress: number][] = [
    ['initiated', 'validate', 5], ['building', 'pull', 15], ['building', 'pull', 30], ['building', 'pull', 45], ['building', 'pull', 60],
    ['deploying', 'create', 70], ['deploying', 'start', 80], ['testing', 'check', 90], ['testing', 'check', 95],
  ];
  let i = 0;
  const timer = setInterval(() => {
    const next = steps[i++];
    const s = services.find((x) => x.id === d.serviceInstanceId);
    if (next && !(fail && next[1] === 'create')) {
      const [state, step, progress] = next;
      if (d.status.step && d.status.step !== step) d.timing.phases.push({ name: d.status.step, duration: 500, status: 'success' });
      d.status = { state, step, progress, message: `${step} is under way`, logs: [...d.status.logs, `${step}: ${progress}%`] };
    } else {
      clearInterval(timer);
      const end = fail ? 'failed' : 'completed';
      d.status = { state: end, step: null, progress: fail ? 60 : 100, logs: [...d.status.logs, end], message: fail ? 'The image nope:latest is not known to docker.io.' : `${d.serviceName} serves.` };
      d.timing = { ...d.timing, completedAt: at(), duration: i * 500 };
      d.monitoring.postDeploy.healthVerification = !fail;
      if (s) {
        s.status = { ...s.status, deployment: fail ? 'failed' : 'running', health: fail ? 'unknown' : 'healthy', message: null };
        emit('service.updated', s.id, s);
      }
    }
    emit('deployment.updated', d.id, d);
  }, 500);
}

function deploy(res: ServerResponse, request: components['schemas']['ServiceDeploymentRequest']) {
  if (services.some((s) => s.name === request.name)) return refuse(res, 409, 'CONFLICT', `A service named ${request.name} exists.`, { '/body/name': 'is taken' });
  const s = service(request.name, request.nodeId ?? nodes[0]?.id ?? '', request.container.image, {}, request.networking.internalPort ?? 8080);
  s.status = { deployment: 'deploying', health: 'unknown', lastHealthCheck: null, uptime: null, message: null };
  s.networking.url = `http://127.0.0.1:${port}`;
  services.unshift(s);
  const d = deployment(s, { timing: { startedAt: at(), phases: [] }, status: { state: 'initiated', progress: 0, logs: [], step: null } });
  deployments.unshift(d);
  emit('service.created', s.id, s);
  emit('deployment.created', d.id, d);
  run(d, request.container.image.startsWith('nope'));
  send(res, 201, { deployment_id: d.id, service_instance: s, monitoring_setup: { datadog_configured: false, newrelic_configured: false, sentry_configured: false, consul_registered: false } });
}

function act(res: ServerResponse, s: (typeof services)[number], action: string) {
  if (action === 'adopt') s.managed = true;
  else s.status = { ...s.status, deployment: action === 'stop' ? 'stopped' : 'running', health: action === 'stop' ? 'unknown' : 'healthy', message: null };
  emit('service.updated', s.id, s);
  send(res, 200, { service: s });
}

function logs(url: URL) {
  const since = url.searchParams.get('since');
  const t = Math.floor(Date.now() / 1000);
  const frames = Array.from({ length: since ? 3 : 60 }, (_, i) => {
    const second = t - (since ? 3 : 60) + i;
    const bad = second % 17 === 0;
    const stamp = new Date(second * 1000).toISOString().replace('Z', '000000Z');
    return { stream: bad ? 'stderr' : 'stdout', data: `${stamp} ${bad ? '\u001b[31mupstream timed out\u001b[0m while reading response header' : `10.0.0.${second % 250} "GET /item/${second % 1000} HTTP/1.1" 200 ${second % 4096}`}\n` };
  });
  const stream = url.searchParams.get('stream') ?? 'all';
  return { frames: frames.filter((f) => stream === 'all' || f.stream === stream), truncated: false };
}

const system = () => ({
  version: '1.0.0', startedAt: at(90_000), hubNodeId: nodes[0]?.id, dataDirectory: '/var/lib/hbcloud', database: { kind: 'sqlite', schemaVersion: 1 },
  engine: empty
    ? { available: false, reason: 'No engine answers at /var/run/docker.sock. Install it with: apt-get install docker.io', name: null, version: null, apiVersion: null, minApiVersion: null, usedApiVersion: null, rootless: null }
    : { available: true, name: 'docker', version: '27.3.1', apiVersion: '1.47', minApiVersion: '1.24', usedApiVersion: '1.44', rootless: false },
  dashboard: { available: true },
  integrations: ['datadog', 'newrelic', 'sentry', 'consul'].map((name) => ({ name, configured: name === 'datadog' && !empty, answering: name === 'datadog' && !empty ? true : null })),
  problems: empty || process.env.MOCK_SOLO ? [] : [
    { severity: 'critical', title: 'thumbnailer is unhealthy', detail: 'The last 4 checks of GET / answered 502. Look at its logs.', entityType: 'service', entityId: services.find((s) => s.name === 'thumbnailer')?.id, since: at(640) },
    { severity: 'warning', title: 'The disk of helsinki-01 is nearly full', detail: '8% of / is free. Remove images that are not used.', entityType: 'node', entityId: nodes[3]?.id, since: at(7200) },
  ],
});

const audit = () => deployments.map((d, i) => ({
  seq: deployments.length - i, at: d.timing.startedAt, actor: { kind: 'session', id: session.id, name: 'owner', role: 'admin' }, address: '127.0.0.1', requestId: id(),
  operation: 'deployService', entityType: 'service', entityId: d.serviceInstanceId, outcome: i === 1 ? 'denied' : 'success', before: null, after: { name: d.serviceName }, hash: '9f'.repeat(32), previousHash: '0'.repeat(64),
}));

const settings = [
  { key: 'listen', env: 'HBCLOUD_LISTEN', value: '127.0.0.1:3000', source: 'default', secret: false, description: 'Where the hub listens.' },
  { key: 'metrics.interval', env: 'HBCLOUD_METRICS_INTERVAL', value: 10, source: 'file', secret: false, description: 'Seconds between samples.' },
  { key: 'datadog.api_key', env: 'DATADOG_API_KEY', value: '********', source: 'env', secret: true, description: 'The key of Datadog’s API.' },
  { key: 'sentry.dsn', env: 'SENTRY_DSN', value: null, source: 'default', secret: true, description: 'Where errors are reported.' },
];

const releases = (s: (typeof services)[number]) => ['1.2', '1.1', '1.0'].map((tag, i) => ({
  number: 3 - i, image: `${s.container.image}:${tag}`, digest: s.container.digest, version: tag, createdAt: at(80_000 * (i + 1)), createdBy: 'owner', servedAt: at(80_000 * (i + 1)),
  serving: i === 0, pinned: true, deploymentId: null, rollback: { possible: i === 1, reason: i === 2 ? 'Its image is neither on the node nor in its registry.' : i === 0 ? 'It serves already.' : null },
}));
const plan = (s: (typeof services)[number], action: string) => ({
  action, service: s.name, release: action === 'rollback' ? 2 : null,
  changes: [{ field: 'container.image', before: `${s.container.image}:1.2`, after: `${s.container.image}:1.1` }, { field: 'container.environment.GREETING', before: '********', after: '********' }],
  containers: [{ instance: 1, container: s.container.id, node: 'attic', action: 'replace' }],
  strategy: { type: 'blue-green', reason: 'Nothing stands against two containers at a time.' },
  gateway: { reload: false, reason: 'The routes stay as they are: the switch changes no configuration.' }, queue: null, notes: [],
});
const jobs = ['deployment', 'ci-delivery', 'forget-ended-jobs'].map((kind, i) => ({
  id: id(), kind, title: ['Deploy a service', 'Work on a delivery of CI', 'Forget jobs that ended long ago'][i], state: ['running', 'failed', 'done'][i], arguments: {}, attempt: i + 1, maxAttempts: 5,
  cancellable: i === 0, retryable: i === 1, schedule: i === 2 ? 'forget-ended-jobs' : null, reason: i === 1 ? 'GitHub does not answer.' : null, createdAt: at(60 * i), startedAt: at(50 * i),
  endedAt: i === 0 ? null : at(40 * i), nextRunAt: null, deadlineAt: at(-3600), cancelRequestedAt: null, leaseOwner: null, leaseExpiresAt: null,
}));
const secrets = [{ name: 'database-password', version: 2, updatedAt: at(5000), updatedBy: 'owner', versions: [{ version: 2, createdAt: at(5000), createdBy: 'owner', releases: 1 }, { version: 1, createdAt: at(90_000), createdBy: 'owner', releases: 0 }] }];
const registries = [{ host: 'ghcr.io', username: 'octocat', createdAt: at(90_000), updatedAt: at(90_000), updatedBy: 'owner' }];

async function api(req: IncomingMessage, res: ServerResponse, url: URL) {
  const path = url.pathname.slice('/v1'.length);
  const [, kind, one, action] = path.split('/');
  const q = url.searchParams;
  const key = `${req.method} /${kind ?? ''}`;
  const signedIn = /hbcloud_session=mock/.test(req.headers.cookie ?? '');
  if (key === 'POST /sessions') {
    const { apiKey, loginToken } = await body(req);
    if (apiKey === 'wrong' || loginToken === 'used') return refuse(res, 401, 'UNAUTHORIZED', 'These credentials are not good.');
    return send(res, 201, { session }, { 'Set-Cookie': 'hbcloud_session=mock; HttpOnly; SameSite=Strict; Path=/' });
  }
  if (!signedIn) return refuse(res, 401, 'UNAUTHORIZED', 'Sign in first.');
  if (req.method !== 'GET' && req.headers['x-csrf-token'] !== session.csrfToken) return refuse(res, 403, 'FORBIDDEN', 'The CSRF token is missing or wrong.');
  switch (key) {
    case 'GET /sessions': return send(res, 200, { session });
    case 'DELETE /sessions': return send(res, 204, undefined, { 'Set-Cookie': 'hbcloud_session=; Max-Age=0; Path=/' });
    case 'GET /system': return send(res, 200, { system: system() });
    case 'GET /config': return send(res, 200, { settings });
    case 'GET /keys': return send(res, 200, { keys });
    case 'POST /keys': {
      const made = { id: id(), prefix: 'hbc_77aa', createdAt: at(), createdBy: 'owner', ...(await body(req)) };
      keys.unshift(made);
      return send(res, 201, { key: made, secret: 'hbc_77aa_only-a-mock-not-a-real-secret' });
    }
    case 'DELETE /keys': Object.assign(keys.find((k) => k.id === one) ?? {}, { revokedAt: at() }); return send(res, 204);
    case 'GET /jobs': return send(res, 200, { jobs, counts: { waiting: 0, running: 1, done: 1, failed: 1, cancelled: 0 } });
    case 'POST /jobs': return send(res, 200, { job: jobs.find((j) => j.id === one) });
    case 'GET /schedules': return send(res, 200, { schedules: empty ? [] : [
      { name: 'forget-ended-jobs', title: 'Forget jobs that ended long ago', kind: 'forget-ended-jobs', cron: null, every: 86_400, timeZone: 'UTC', nextAt: at(-40_000), lastAt: at(46_400), lastState: 'done', skipped: 0 },
      { name: 'look-at-certificates', title: 'Look at certificates', kind: 'look-at-certificates', cron: '15 3 * * *', every: null, timeZone: 'Europe/Berlin', nextAt: at(-30_000), lastAt: null, lastState: null, skipped: 0 },
    ] });
    case 'GET /certificates': return send(res, 200, { certificates: services.slice(0, 3).map((s, i) => ({
      domain: s.networking.domains[0], service: s.name, status: ['ok', 'expiring', 'missing'][i], reason: i === 2 ? 'The name resolves to 203.0.113.9, which is not this machine.' : null, issuer: i === 2 ? null : 'Let’s Encrypt',
      names: s.networking.domains, serial: '04a1', notBefore: at(3e6), notAfter: i === 2 ? null : at(-(i ? 7e5 : 5e6)), daysLeft: [58, 8, null][i], lastRenewal: i === 0 ? at(3e6) : null, checkedAt: at(300),
    })) });
    case 'GET /routes': return send(res, 200, {
      routes: services.slice(0, 4).map((s, i) => ({
        service: s.name, serviceId: s.name, domains: s.networking.domains, url: `https://${s.networking.domains[0]}`, state: i === 3 ? 'refused' : 'accepted', reason: i === 3 ? 'unknown module: http.handlers.nope' : null,
        serving: i !== 2, slots: 4, updatedAt: at(900), upstreams: i === 2 ? [] : ['127.0.0.1:32768'], inFlight: i === 2 ? 0 : 3 - i,
        figures: { requests: 1203 * (i + 1), responses: { '1xx': 0, '2xx': 1190, '3xx': 4, '4xx': 9, '5xx': i === 2 ? 12 : 0 }, bytes: 481_200, meanMs: 3.2 },
      })),
      router: { configured: !empty, reached: true, reloads: 4, rateLimits: false },
    });
    case 'GET /ci': return send(res, 200, one === 'approvals'
      ? { approvals: empty ? [] : [{ id: id(), ruleId: id(), state: 'approval', service: 'notes', environment: 'production', image: 'ghcr.io/example/notes:2.2.0', source: 'github', pipeline: 'build', git: { repository: 'example/notes', branch: 'main', commit: '1f2e3d4c5b6a', commitMessage: 'Faster search', author: 'octocat' }, gates: [{ gate: 'check build', held: true, found: 'success' }, { gate: 'figure coverage, at least 80', held: false, found: 'unknown' }], gatesHold: false, reason: null, decidedBy: null, decidedAt: null, deploymentId: null, deadlineAt: at(-1200), createdAt: at(300) }] }
      : one === 'runs' ? { runs: empty ? [] : [{ source: 'github', id: '1', status: 'completed', conclusion: 'success', foreign: false, repository: 'example/notes', branch: 'main', commit: '1f2e3d4c5b6a', name: 'build', event: 'push', number: 212, commitMessage: 'Faster search', author: 'octocat', url: 'https://github.com/example/notes/actions/runs/1', serviceName: 'notes', deploymentId: null, createdAt: at(400), startedAt: at(400), completedAt: at(310), jobs: [] }] }
      : { rules: empty ? [] : [{ id: id(), match: { image: 'ghcr.io/example/notes:*' }, service: 'notes', environment: 'production', approval: 'required', gates: [], gateTimeout: 1800, createdBy: 'owner', createdAt: at(90_000) }] });
    case 'GET /volumes': return send(res, 200, { volumes: empty ? [] : services.slice(0, 3).map((s, i) => ({ name: `${s.name}-data`, nodeId: s.nodeId, node: 'attic', driver: 'local', service: i === 2 ? null : s.name, labels: {}, usedBy: i === 2 ? [] : [{ service: s.name, running: true }], inUse: i !== 2 })) });
    case 'GET /secrets': return send(res, 200, { secrets });
    case 'GET /registries': return send(res, 200, { registries });
    case 'GET /audit': return one ? send(res, 200, { ok: true, checked: deployments.length, head: '9f'.repeat(32) }) : send(res, 200, { entries: audit() });
    case 'GET /events':
      res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
      res.write(': hello\n\n');
      clients.add(res);
      return req.on('close', () => clients.delete(res));
    case 'GET /monitoring':
      return one === 'query'
        ? send(res, 200, query(q.get('name') ?? '', q.get('entity_id') ?? '', Number(q.get('from')), Number(q.get('to')), q.get('step') ?? '30s'))
        : send(res, 200, {
            metrics: (q.get('name')?.startsWith('container') ? services : nodes.filter((n) => n.status !== 'offline')).map((n) => ({ entityId: n.id, metric: { name: q.get('name'), value: now([q.get('name') ?? ''], n.id)[q.get('name') ?? ''] ?? 0, unit: 'percent' }, dimensions: { timestamp: at(), interval: 10, tags: {} } })),
            correlation_analysis: { cross_tool_consistency: null, data_quality_score: 100 },
          });
    case 'GET /deployments': {
      if (one) {
        const d = deployments.find((x) => x.id === one);
        return d ? send(res, 200, { deployment: d }) : refuse(res, 404, 'NOT_FOUND', 'There is no such deployment.');
      }
      const of = q.get('service_id');
      return send(res, 200, { deployments: deployments.filter((d) => !of || d.serviceInstanceId === of), analytics: { success_rate: empty ? null : 66.7, average_duration: empty ? null : 9840 } });
    }
    case 'POST /services': {
      const s = services.find((x) => x.id === one);
      if (!one) return deploy(res, await body(req));
      if (s && action === 'rollback') return send(res, 200, { plan: plan(s, 'rollback') });
      return s ? act(res, s, action ?? '') : refuse(res, 404, 'NOT_FOUND', 'There is no such service.');
    }
  }
  if (kind === 'services') {
    if (!one) {
      const on = services.filter((s) => !q.get('nodeId') || s.nodeId === q.get('nodeId'));
      return send(res, 200, { services: on, aggregated_health: { healthy: on.length, unhealthy: 0, unknown: 0 } });
    }
    const s = services.find((x) => x.id === one);
    if (!s) return refuse(res, 404, 'NOT_FOUND', 'There is no such service.');
    if (action === 'releases') return send(res, 200, { releases: releases(s) });
    if (req.method === 'PATCH') return send(res, 200, { plan: plan(s, 'update') });
    if (action === 'logs') return send(res, 200, logs(url));
    if (req.method === 'DELETE') {
      services.splice(services.indexOf(s), 1);
      emit('service.deleted', s.id, null);
    }
    return send(res, 200, { service: s });
  }
  if (kind === 'infrastructure') {
    const n = nodes.find((x) => x.id === action);
    if (req.method === 'POST') {
      const request = await body(req);
      if (nodes.some((x) => x.name === request.name)) return refuse(res, 409, 'CONFLICT', `A node named ${request.name} exists.`, { '/body/name': 'is taken' });
      const made = node(request.name, { type: request.type, provider: request.provider, region: request.region ?? null, status: 'offline' });
      nodes.push(made);
      emit('node.created', made.id, made);
      return send(res, 201, { node: made });
    }
    if (!action) return send(res, 200, { nodes, metadata: { total: nodes.length, active: nodes.length, monitoring_integrated: 1 } });
    if (!n) return refuse(res, 404, 'NOT_FOUND', 'There is no such node.');
    if (req.method === 'DELETE') {
      if (services.some((s) => s.nodeId === n.id)) return refuse(res, 409, 'CONFLICT', `Services live on ${n.name}. Move or remove them first.`);
      nodes.splice(nodes.indexOf(n), 1);
      emit('node.deleted', n.id, null);
      return send(res, 204);
    }
    if (req.method === 'PATCH') {
      const { labels, ...rest } = await body(req);
      Object.assign(n, rest);
      n.labels = Object.fromEntries(Object.entries({ ...n.labels, ...labels }).filter(([, v]) => v !== null)) as Record<string, string>;
      emit('node.updated', n.id, n);
    }
    return send(res, 200, { node: n });
  }
  return refuse(res, 404, 'NOT_FOUND', 'There is nothing at this address.');
}

const TYPES: Record<string, string> = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.json': 'application/json' };
const CSP = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'";

async function file(res: ServerResponse, path: string) {
  const wanted = path === "/docs" ? "/docs/index.html" : extname(path) ? normalize(path) : '/index.html';
  const content = await readFile(join(import.meta.dirname, '../dist', wanted));
  res.writeHead(200, { 'Content-Type': TYPES[extname(wanted)] ?? 'application/octet-stream', 'Content-Security-Policy': wanted.startsWith('/docs') ? CSP.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'") : CSP });
  res.end(content);
}

createServer((req, res) => {
  const url = new URL(req.url ?? '/', `http://127.0.0.1:${port}`);
  const answer = url.pathname.startsWith('/v1/') ? api(req, res, url) : file(res, url.pathname);
  Promise.resolve(answer).catch((error: unknown) => refuse(res, 404, 'NOT_FOUND', String(error)));
}).listen(port, '127.0.0.1', () => console.log(`mock hub at http://127.0.0.1:${port}/login#token=mock`));

const NODE_METRICS = ['cpu.usage.percent', 'memory.used.percent', 'memory.used.bytes', 'memory.total.bytes', 'load.1', 'load.5', 'load.15'];
const SERVICE_METRICS = ['container.cpu.percent', 'container.memory.used.bytes', 'container.memory.limit.bytes'];
setInterval(() => {
  for (const n of nodes) if (n.monitoring.lastHealthCheck) {
    n.monitoring.lastHealthCheck = n.metadata.lastSeen = at();
    emit('node.updated', n.id, n);
  }
  for (const n of nodes) if (n.status !== 'offline') emit('metric.sampled', n.id, { values: now(NODE_METRICS, n.id) });
  for (const s of services) if (s.status.deployment === 'running') emit('metric.sampled', s.id, { values: now(SERVICE_METRICS, s.id) });
}, Number(process.env.MOCK_SAMPLE_MS ?? 2000));
