// Each kind of break is made in a copy of the real contract and must be found, and nothing else with it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse, stringify } from 'yaml';
import { compare } from './contract-diff.ts';

// A document to be cut about at will.
type Contract = any;

const FILE = fileURLToPath(new URL('../../docs/api/openapi.yaml', import.meta.url));
const TOOL = fileURLToPath(new URL('./contract-diff.ts', import.meta.url));
const contract = (): Contract => parse(readFileSync(FILE, 'utf8'));
const schemas = (c: Contract): Contract => c.components.schemas;

function found(change: (c: Contract) => void): { breaks: string[]; notes: string[] } {
  const now = contract();
  change(now);
  const findings = compare(contract(), now);
  const lines = (breaks: boolean) => findings.filter((f) => f.breaks === breaks).map((f) => `${f.where}: ${f.what}`);
  return { breaks: lines(true), notes: lines(false) };
}

const BREAKS: [name: string, change: (c: Contract) => void, expected: RegExp][] = [
  ['an operation is removed', (c) => delete c.paths['/events'].get, /^GET \/events: the operation is gone$/],
  ['a path is removed', (c) => delete c.paths['/audit/verify'], /^GET \/audit\/verify: the operation is gone$/],
  ['an operation is renamed', (c) => (c.paths['/events'].get.operationId = 'follow'), /operationId streamEvents became follow/],
  ['a role is raised', (c) => (c.paths['/events'].get['x-role'] = 'admin'), /raised from viewer to admin/],
  ['a body limit falls', (c) => (c.paths['/services'].post['x-body-limit'] = 1024), /x-body-limit fell from 1048576 to 1024/],
  ['a parameter is removed', (c) => c.paths['/events'].get.parameters.pop(), /query types: the parameter is gone/],
  [
    'a parameter becomes required',
    (c) => (c.paths['/monitoring/query'].get.parameters.find((p: Contract) => p.name === 'step').required = true),
    /query step: the parameter became required/,
  ],
  [
    'a new parameter is required',
    (c) => c.paths['/deployments'].get.parameters.push({ name: 'why', in: 'query', required: true, schema: { type: 'string' } }),
    /query why: a new parameter is required/,
  ],
  ["a parameter's bound is narrowed", (c) => (c.components.parameters.Limit.schema.maximum = 10), /query limit: maximum fell from 1000 to 10/],
  ['a body becomes required', (c) => (c.paths['/tokens'].post.requestBody.required = true), /body: the body became required/],
  [
    'a media type is no longer taken',
    (c) => {
      const { content } = c.paths['/keys'].post.requestBody;
      content['application/cbor'] = content['application/json'];
      delete content['application/json'];
    },
    /body: application\/json is no longer taken/,
  ],
  ['a request field becomes required', (c) => schemas(c).NodeCreate.required.push('region'), /\/region: the field is now required/],
  [
    'a request field becomes required behind allOf',
    (c) => schemas(c).ServiceDeploymentRequest.properties.container.required.push('tag'),
    /\/container \/tag: the field is now required/,
  ],
  ['a request field is removed', (c) => delete schemas(c).KeyCreate.properties.expiresAt, /\/expiresAt: the field is gone/],
  [
    'a request no longer takes other fields',
    (c) => (schemas(c).NodeUpdate.properties.labels = { type: 'object', additionalProperties: false }),
    /\/labels: other fields are no longer taken/,
  ],
  ["a request's type is narrowed", (c) => (schemas(c).NodeResources.properties.memory.type = 'integer'), /\/memory: number is no longer taken/],
  ["a request's enum is narrowed", (c) => schemas(c).NodeUpdate.properties.status.enum.pop(), /the value "maintenance" is no longer taken/],
  ["a request's pattern changes", (c) => (schemas(c).NodeName.pattern = '^x'), /\/name: pattern is new or another/],
  ["a request's lower bound rises", (c) => (schemas(c).TokenCreate.properties.expiresIn.minimum = 61), /minimum rose from 60 to 61/],
  ["a request's variant is removed", (c) => schemas(c).SessionCreate.oneOf.pop(), /variant 2 is no longer taken/],
  ['a reply is removed', (c) => {
    const { responses } = c.paths['/tokens'].post;
    responses['200'] = responses['201'];
    delete responses['201'];
  }, /201: the reply is gone/],
  ["a reply's media type is removed", (c) => delete c.paths['/services/{serviceId}/logs'].get.responses['200'].content['text/plain'], /text\/plain is no longer given/],
  ["a reply's header is removed", (c) => delete c.paths['/infrastructure/nodes'].post.responses['201'].headers.ETag, /the header ETag is gone/],
  ["a reply's field is removed", (c) => delete schemas(c).AuditVerification.properties.reason, /\/reason: the field is gone/],
  [
    "a reply's field is renamed",
    (c) => {
      const s = schemas(c).TokenKey;
      s.properties.keyId = s.properties.kid;
      delete s.properties.kid;
      s.required = ['keyId', 'rotatedAt'];
    },
    /\/kid: the field is gone/,
  ],
  ["a reply's field may be absent", (c) => schemas(c).TokenKey.required.pop(), /\/rotatedAt: the field may now be absent/],
  ["a reply's type is widened", (c) => (schemas(c).KeyCreated.properties.secret.type = ['string', 'null']), /\/secret: may now be null/],
  ["a reply's integer becomes a number", (c) => (schemas(c).AuditVerification.properties.checked.type = 'number'), /\/checked: may now be number/],
  ["a reply's type inside a list is widened", (c) => (schemas(c).Point.prefixItems[0].type = 'number'), /\/points \/- \/0: may now be number/],
  ["a reply's type is dropped", (c) => delete schemas(c).TokenKey.properties.kid.type, /\/kid: may now be anything/],
  ["a reply's format is dropped", (c) => delete schemas(c).InfrastructureNode.properties.id.format, /the format uuid is no longer promised/],
];

for (const [name, change, expected] of BREAKS)
  test(`a break is found: ${name}`, () => {
    const { breaks } = found(change);
    assert.notEqual(breaks.length, 0, 'nothing was found');
    for (const line of breaks) assert.match(line, expected);
  });

const FINE: [name: string, change: (c: Contract) => void][] = [
  ['nothing', () => {}],
  ['a new operation', (c) => (c.paths['/new'] = { get: { operationId: 'x', 'x-role': 'admin', responses: {} } })],
  ['a new field in a reply', (c) => (schemas(c).TokenKey.properties.more = { type: 'string' })],
  ['a promise more in a reply', (c) => schemas(c).ApiKey.required.push('expiresAt')],
  ["a narrower type in a reply", (c) => (schemas(c).Readiness.properties.checks.items.properties.detail.type = 'string')],
  ['a new optional field in a request', (c) => (schemas(c).KeyCreate.properties.note = { type: 'string' })],
  ['a wider request', (c) => (schemas(c).KeyCreate.properties.name.maxLength = 200)],
  ['a lower role', (c) => (c.paths['/keys'].get['x-role'] = 'viewer')],
  ['an error status that falls under default', (c) => delete c.paths['/keys'].get.responses['401']],
  ['other words', (c) => (c.info.description = 'other')],
];

for (const [name, change] of FINE)
  test(`no break: ${name}`, () => {
    assert.deepEqual(found(change), { breaks: [], notes: [] });
  });

test('a new value in an enum of replies alone is noted and is no break', () => {
  const { breaks, notes } = found((c) => schemas(c).System.properties.database.properties.kind.enum.push('other'));
  assert.deepEqual(breaks, []);
  assert.deepEqual(notes, ['GET /system 200 /system /database /kind: may now be "other"']);
});

test('the tool ends with 1 on a break, 0 without one, 2 when called wrongly', () => {
  const dir = mkdtempSync(join(tmpdir(), 'contract-diff-'));
  try {
    const broken = contract();
    delete broken.paths['/events'];
    writeFileSync(join(dir, 'broken.yaml'), stringify(broken));
    const run = (...args: string[]) => spawnSync(process.execPath, [TOOL, ...args], { encoding: 'utf8' });
    const bad = run(FILE, join(dir, 'broken.yaml'));
    assert.equal(bad.status, 1, bad.stderr);
    assert.match(bad.stdout, /^BREAK {2}GET \/events: the operation is gone\n1 breaks, 0 notes\n$/);
    assert.equal(run(FILE, FILE).status, 0);
    assert.equal(run(FILE).status, 2);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
