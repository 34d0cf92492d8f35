// What must hold of the contract itself, whatever it says: the house's rules for operations and requests, and
// that everything the project was asked for at first is in it (decision 0001).
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse, parseDocument, visit } from 'yaml';

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type Dict = { [key: string]: Json };

const text = readFileSync(new URL('../../docs/api/openapi.yaml', import.meta.url), 'utf8');
const contract: Dict = parse(text);
const dict = (v: Json | undefined): Dict => (typeof v === 'object' && v !== null && !Array.isArray(v) ? v : {});
const list = (v: Json | undefined): Json[] => (Array.isArray(v) ? v : []);

function lookup(ref: string): Json {
  let at: Json = contract;
  for (const part of ref.slice(2).split('/')) {
    const next: Json | undefined = dict(at)[part];
    assert.notEqual(next, undefined, `${ref} leads nowhere`);
    at = next as Json;
  }
  return at;
}

const resolve = (v: Json | undefined): Dict => {
  const { $ref, ...rest } = dict(v);
  return typeof $ref === 'string' ? { ...resolve(lookup($ref)), ...rest } : rest;
};

function* nodes(v: Json, at = ''): Generator<[string, Dict]> {
  if (Array.isArray(v)) for (const [i, item] of v.entries()) yield* nodes(item, `${at}/${i}`);
  else if (typeof v === 'object' && v !== null) {
    yield [at, v];
    for (const [key, item] of Object.entries(v)) yield* nodes(item, `${at}/${key}`);
  }
}

interface Operation {
  name: string;
  path: string;
  method: string;
  pathItem: Dict;
  op: Dict;
}

const METHODS = ['get', 'put', 'post', 'patch', 'delete'];
const operations: Operation[] = Object.entries(dict(contract.paths)).flatMap(([path, item]) =>
  METHODS.filter((m) => m in dict(item)).map((method) => ({
    name: `${method.toUpperCase()} ${path}`,
    path,
    method,
    pathItem: dict(item),
    op: dict(dict(item)[method]),
  })),
);
const parametersOf = (o: Operation): Dict[] => [...list(o.pathItem.parameters), ...list(o.op.parameters)].map(resolve);

test('it is plain YAML: no anchors, aliases, tags or merge keys', () => {
  const document = parseDocument(text, { merge: false });
  assert.deepEqual(document.errors, []);
  visit(document, {
    Alias: () => assert.fail('an alias'),
    Node: (_, node) => {
      if ('anchor' in node) assert.equal(node.anchor, undefined);
      assert.equal(node.tag, undefined);
    },
    Pair: (_, pair) => assert.notEqual(String(pair.key), '<<'),
  });
});

test('every reference leads somewhere, every component is used', () => {
  const used = new Set<string>();
  for (const [, node] of nodes(contract))
    if (typeof node.$ref === 'string') {
      lookup(node.$ref);
      used.add(node.$ref);
    }
  for (const [group, components] of Object.entries(dict(contract.components)))
    for (const name of Object.keys(dict(components)))
      if (group !== 'securitySchemes') assert.ok(used.has(`#/components/${group}/${name}`), `${group} ${name} is not used`);
});

test('every operation says who may call it, what it does, and how it fails', () => {
  const ids = new Set<Json>();
  for (const { name, op } of operations) {
    for (const key of ['operationId', 'summary', 'description']) assert.equal(typeof op[key], 'string', `${name} ${key}`);
    assert.ok(!ids.has(op.operationId ?? null), `${op.operationId} twice`);
    ids.add(op.operationId ?? null);
    assert.equal(list(op.tags).length, 1, name);
    assert.ok(['public', 'viewer', 'operator', 'admin'].includes(String(op['x-role'])), name);
    assert.equal(op['x-role'] === 'public', Array.isArray(op.security) && op.security.length === 0, `${name} security`);
    assert.deepEqual(dict(op.responses).default, { $ref: '#/components/responses/Error' }, name);
    assert.ok(Object.keys(dict(op.responses)).some((status) => status.startsWith('2')), name);
  }
});

test('no write is open to viewers but those of their own session; what a service signs needs no role', () => {
  const own = ['createSession', 'deleteSession', 'createToken'];
  const signed = operations.filter(({ op }) => op['x-raw-body'] === true).map(({ op }) => String(op.operationId));
  assert.deepEqual(signed, ['receiveGithubWebhook', 'receiveTravisWebhook']);
  for (const { name, method, op } of operations)
    if (method !== 'get' && !own.includes(String(op.operationId)) && !signed.includes(String(op.operationId)))
      assert.ok(['operator', 'admin'].includes(String(op['x-role'])), name);
});

test('path templates and path parameters agree', () => {
  for (const o of operations) {
    const inTemplate = [...o.path.matchAll(/\{(\w+)\}/g)].map((m) => m[1]);
    const declared = parametersOf(o).filter((p) => p.in === 'path');
    assert.deepEqual(declared.map((p) => p.name), inTemplate, o.name);
    for (const p of declared) assert.equal(p.required, true, o.name);
  }
});

test('lists are paged: a limit and a cursor belong together', () => {
  const has = (o: (typeof operations)[number], name: string) => parametersOf(o).some((p) => p.name === name);
  for (const o of operations.filter((o) => has(o, 'cursor') || has(o, 'limit'))) {
    assert.ok(has(o, 'limit') && has(o, 'cursor'), o.name);
    const reply = resolve(dict(dict(resolve(dict(o.op.responses)['200']).content)['application/json']).schema);
    assert.ok('next' in dict(reply.properties), o.name);
  }
});

test('requests take no field that is not named, and every text and list in them has a bound', () => {
  const check = (at: string, node: Json | undefined): void => {
    const s = resolve(node);
    for (const key of ['allOf', 'oneOf', 'anyOf']) for (const [i, v] of list(s[key]).entries()) check(`${at} ${key} ${i}`, v);
    const types = [s.type].flat();
    if (types.includes('object')) assert.notEqual(s.additionalProperties ?? true, true, `${at} takes any field`);
    if (types.includes('object') && s.additionalProperties !== false) assert.ok('maxProperties' in s, `${at} has no maxProperties`);
    if (types.includes('array')) assert.ok('maxItems' in s, `${at} has no maxItems`);
    if (types.includes('string')) assert.ok('maxLength' in s || 'enum' in s, `${at} has no maxLength`);
    if (types.includes('integer') || types.includes('number')) assert.ok('minimum' in s && 'maximum' in s, `${at} has no bounds`);
    for (const [key, v] of Object.entries(dict(s.properties))) check(`${at}/${key}`, v);
    if (typeof s.additionalProperties === 'object') check(`${at}/*`, s.additionalProperties);
    if (s.items !== undefined) check(`${at}/-`, s.items);
  };
  for (const o of operations) {
    // What a service sends and signs has the shape that the service gives it; its size is bounded.
    if (o.op['x-raw-body'] !== true) for (const media of Object.values(dict(dict(o.op.requestBody).content))) check(`${o.name} body`, dict(media).schema);
    if (o.op.requestBody !== undefined) assert.equal(typeof o.op['x-body-limit'], 'number', `${o.name} x-body-limit`);
    for (const p of parametersOf(o)) check(`${o.name} ${p.name}`, p.schema);
  }
});

test('in replies every declared list and map says what it holds', () => {
  for (const [at, node] of nodes(dict(contract.components).schemas ?? null))
    if (node.type === 'array') assert.ok('items' in node, at);
});

// ---- what was asked for at first: operations with their query parameters, fields (a `?` may be absent), values

const ASKED_OPERATIONS: Record<string, string> = {
  'GET /infrastructure/nodes': 'provider type status',
  'POST /infrastructure/nodes': '',
  'GET /services': 'nodeId type status',
  'POST /services': '',
  'GET /monitoring/metrics': 'source entity_id time_range',
  'GET /deployments': 'service_id trigger environment',
};

const ASKED_FIELDS: Record<string, string> = {
  InfrastructureNode: `id name type provider region resources.cpu resources.memory resources.storage resources.bandwidth
    networking.tailscaleIP networking.publicIP? networking.hostname status monitoring.datadogHost
    monitoring.newRelicAgentId? monitoring.lastHealthCheck monitoring.uptime metadata.createdAt metadata.lastSeen
    metadata.osVersion metadata.dockerVersion`,
  ServiceInstance: `id serviceId name type nodeId container.image container.tag container.ports.-.container
    container.ports.-.host? container.ports.-.protocol container.environment container.volumes.-.source
    container.volumes.-.target container.volumes.-.readonly? networking.internalPort networking.domains
    networking.caddyConfig networking.healthCheck.path networking.healthCheck.interval networking.healthCheck.timeout
    monitoring.datadogService monitoring.newRelicAppId? monitoring.sentryProject? monitoring.consulServiceId
    monitoring.alerts status.deployment status.health status.lastHealthCheck status.uptime metadata.version
    metadata.deployedAt metadata.deployedBy metadata.gitCommit?`,
  MonitoringMetric: `id source type category entityId entityType metric.name metric.value metric.unit
    metric.aggregation? dimensions.timestamp dimensions.interval dimensions.tags thresholds?.warning
    thresholds?.critical thresholds?.comparison correlation.sourceMetricId? correlation.relatedMetrics`,
  DeploymentEvent: `id serviceInstanceId deployment.trigger deployment.pipeline deployment.initiatedBy
    deployment.environment changes.type changes.fromVersion? changes.toVersion changes.configChanges.-.key
    changes.configChanges.-.oldValue? changes.configChanges.-.newValue changes.configChanges.-.source
    changes.imageChanges?.oldImage? changes.imageChanges?.newImage changes.imageChanges?.registry status.state
    status.progress status.message? status.logs timing.startedAt timing.completedAt? timing.duration?
    timing.phases.-.name timing.phases.-.duration timing.phases.-.status monitoring.preDeploy.healthChecks
    monitoring.preDeploy.performanceBaseline monitoring.postDeploy.healthVerification
    monitoring.postDeploy.performanceComparison monitoring.postDeploy.alertsTriggered git?.repository git?.branch
    git?.commit git?.commitMessage git?.author`,
  ApiError: `error.code error.message error.details? error.timestamp error.requestId error.monitoring.sentryEventId?
    error.monitoring.datadogTraceId? error.monitoring.newrelicTraceId?`,
  NodeList: 'nodes metadata.total metadata.active metadata.monitoring_integrated',
  ServiceList: 'services aggregated_health.healthy aggregated_health.unhealthy aggregated_health.unknown',
  ServiceDeploymentReply: `deployment_id service_instance monitoring_setup.datadog_configured
    monitoring_setup.newrelic_configured monitoring_setup.sentry_configured monitoring_setup.consul_registered`,
  MetricList: 'metrics correlation_analysis.cross_tool_consistency correlation_analysis.data_quality_score',
  DeploymentList: 'deployments analytics.success_rate analytics.average_duration',
};

const ASKED_VALUES: Record<string, string> = {
  'InfrastructureNode type': 'hub spoke experimentation',
  'InfrastructureNode provider': 'hetzner digitalocean azure',
  'InfrastructureNode status': 'active maintenance degraded offline',
  'ServiceInstance type': 'web api database cache monitoring utility',
  'ServiceInstance container.ports.-.protocol': 'tcp udp',
  'ServiceInstance status.deployment': 'deploying running stopped failed updating',
  'ServiceInstance status.health': 'healthy unhealthy unknown',
  'MonitoringMetric source': 'datadog newrelic sentry consul portainer caddy',
  'MonitoringMetric type': 'infrastructure application business security',
  'MonitoringMetric category': 'cpu memory disk network response_time error_rate throughput',
  'MonitoringMetric entityType': 'node service container endpoint',
  'MonitoringMetric metric.aggregation': 'sum avg min max count',
  'MonitoringMetric thresholds.comparison': 'greater_than less_than equals',
  'DeploymentEvent deployment.trigger': 'github_actions travis_ci manual rollback',
  'DeploymentEvent deployment.environment': 'development staging production',
  'DeploymentEvent changes.type': 'create update delete scale config_change',
  'DeploymentEvent changes.configChanges.-.source': 'doppler environment docker_compose',
  'DeploymentEvent status.state': 'initiated building deploying testing completed failed rolled_back',
  'DeploymentEvent timing.phases.-.status': 'success failed skipped',
};

function field(schema: string, path: string): Dict {
  let at = resolve({ $ref: `#/components/schemas/${schema}` });
  for (const part of path.split('.')) {
    const name = part.replace(/\?$/, '');
    if (name === '-') at = resolve(at.items);
    else {
      assert.ok(name in dict(at.properties), `${schema} has no ${path}`);
      assert.equal(list(at.required).includes(name), name === part, `${schema} ${path}: whether ${name} is always there`);
      at = resolve(dict(at.properties)[name]);
    }
  }
  return at;
}

test('every operation and query parameter that was asked for is there', () => {
  for (const [name, parameters] of Object.entries(ASKED_OPERATIONS)) {
    const o = operations.find((o) => o.name === name);
    assert.ok(o, name);
    const query = parametersOf(o).filter((p) => p.in === 'query').map((p) => p.name);
    for (const p of parameters.split(' ').filter(Boolean)) assert.ok(query.includes(p), `${name} ${p}`);
  }
});

for (const [schema, fields] of Object.entries(ASKED_FIELDS))
  test(`${schema} has every field that was asked for, always there unless it was optional`, () => {
    for (const path of fields.split(/\s+/)) field(schema, path);
  });

test('every value that was asked for is among those of its field', () => {
  for (const [name, values] of Object.entries(ASKED_VALUES)) {
    const [schema, path] = name.split(' ') as [string, string];
    const has = list(field(schema, path.replace('thresholds.', 'thresholds?.').replace('metric.aggregation', 'metric.aggregation?')).enum);
    for (const value of values.split(' ')) assert.ok(has.includes(value), `${name} ${value}`);
  }
});

test("a deployment's states are the seven, and the two that end one before its turn or its switch", () => {
  assert.deepEqual(field('DeploymentEvent', 'status.state').enum, [...ASKED_VALUES['DeploymentEvent status.state']!.split(' '), 'cancelled', 'superseded']);
});

test('the three ways to show who one is', () => {
  const schemes = dict(dict(contract.components).securitySchemes);
  assert.deepEqual(Object.keys(schemes), ['BearerAuth', 'ApiKeyAuth', 'SessionCookie']);
  assert.equal(dict(schemes.ApiKeyAuth).name, 'X-API-Key');
});
