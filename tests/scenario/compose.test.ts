// A Compose project is read as Docker Compose reads it: over a corpus, what `hbcloud compose config` says is held against
// what Compose itself says (O12 to O17), and what becomes of it here against what was meant.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { binary, cleanEnv, repository } from '../support/hub.ts';
import { part } from '../support/parts/part.ts';

const oracle = part('compose');
const corpus = join(repository, 'tests/support/compose');
const projects = readdirSync(corpus);

interface Case { files: string[]; env?: Record<string, string>; profiles?: string[] }
const usual: Case = { files: ['compose.yml'] };
const cases: Record<string, Case[]> = {
  'o12-ports': [usual, { ...usual, env: { PORTS: '' } }, { ...usual, env: { PORTS: ':2300', ACCELERATION: 'card' } }],
  'o14-forms': [usual, { ...usual, env: { NEVER_GIVEN: '' } }],
  'o15-many': [usual, { ...usual, profiles: ['gpu'], env: { PLATFORM: 'linux/amd64', CHECK_RETRIES: '4', FROM_OUTSIDE: 'yes' } }],
  'o16-long': [{ ...usual, env: { API_TOKEN: 't' } }],
  override: [usual, { files: ['compose.yml', 'compose.override.yml'] }],
};

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Leaves out what says nothing, and what Compose escapes again in its own output. */
function plain(value: Json, escaped: boolean): Json | undefined {
  if (typeof value === 'string') return escaped ? value.replaceAll('$$', () => '$') : value;
  if (Array.isArray(value)) return value.map((v) => plain(v, escaped)!);
  if (value === null || typeof value !== 'object') return value;
  const entries = Object.entries(value).flatMap(([k, v]) => {
    const nothing = ['command', 'entrypoint'].includes(k) && v === null;
    if (nothing || k.startsWith('x-') || ['bind', 'volume', 'ipam', 'profiles', 'placement', 'driver_opts'].includes(k)) return [];
    const p = plain(v, escaped);
    return p === undefined ? [] : [[k, p] as const];
  });
  return Object.fromEntries(entries.sort(([a], [b]) => a.localeCompare(b)));
}

/** A size may be a number or a text of it, an order of mounts is no difference. */
function comparable(model: Json, escaped: boolean): string {
  return JSON.stringify(plain(model, escaped), (key, value) => {
    if (/^(memory|shm_size|mem_limit|mode|cpus|scale|replicas)$/.test(key) && value !== 'ingress' && value !== 'host') return String(value);
    if (['volumes', 'ports', 'secrets', 'configs'].includes(key) && Array.isArray(value)) {
      return value.map((v) => JSON.stringify(v)).sort();
    }
    return value;
  }, 1);
}

function run(command: string, args: string[], directory: string, env: Record<string, string> = {}) {
  const done = spawnSync(command, args, { cwd: directory, encoding: 'utf8', env: { ...cleanEnv('/home/nobody'), ...env } });
  return { status: done.status, out: done.stdout, err: done.stderr };
}

function ours(project: string, c: Case, verb = ['compose', 'config']) {
  const profiles = (c.profiles ?? []).flatMap((p) => ['--profile', p]);
  return run(binary, [...verb, ...c.files, ...profiles], join(corpus, project), c.env);
}

describe('O12 O13 O14 O15 O16 O17 the same as Docker Compose', { skip: oracle.skip }, () => {
  for (const project of projects) {
    for (const [i, c] of (cases[project] ?? [usual]).entries()) {
      test(`${project} ${i}`, () => {
        const profiles = (c.profiles ?? []).flatMap((p) => ['--profile', p]);
        const files = c.files.flatMap((f) => ['-f', f]);
        const theirs = run(join(oracle.dir, 'bin/docker-compose'), [...files, ...profiles, 'config', '--format', 'json'], join(corpus, project), c.env);
        assert.equal(theirs.status, 0, theirs.err);
        const mine = ours(project, c);
        assert.equal(mine.status, 0, mine.err);
        assert.equal(comparable(JSON.parse(mine.out), false), comparable(JSON.parse(theirs.out), true));
      });
    }
  }
});

describe('what becomes of a Compose project', () => {
  interface Plan { services: { name: string; [key: string]: any }[]; remarks: { service: string; field: string; text: string }[] }
  const plan = (project: string, c: Case = usual): Plan => {
    const { status, out, err } = ours(project, c, ['compose', 'import', '--plan']);
    assert.equal(status, 0, err);
    return JSON.parse(out);
  };

  test('O13 a required variable that is missing stops the import, by name and message', () => {
    const { status, err } = ours('o13-merge', { ...usual, env: {} }, ['compose', 'import', '--plan', '--env-file', '/dev/null']);
    assert.equal(status, 1);
    assert.match(err, /DB_PASSWORD is required: the database needs a password/);
  });

  test('O13 the worker waits for the main service only, and doubled dollars are single', () => {
    const { services } = plan('o13-merge');
    const worker = services.find((s) => s.name === 'flows-worker')!, db = services.find((s) => s.name === 'flows-db')!;
    assert.deepEqual(worker.dependsOn, [{ service: 'flows-main', condition: 'started' }]);
    assert.deepEqual(db.networking.healthCheck.command, ['/bin/sh', '-c', 'pg_isready -d ${POSTGRES_DB} -U ${POSTGRES_USER}']);
  });

  test('services stand behind what they depend on, and what others wait for is a job', () => {
    const { services } = plan('shop');
    assert.deepEqual(services.map((s) => s.name), ['shop-db', 'shop-migrate', 'shop-web']);
    assert.equal(services[1]!.lifecycle, 'job');
    assert.deepEqual(services[2]!.networking, {
      internalPort: 8080,
      healthCheck: { command: ['/bin/sh', '-c', 'curl --fail http://localhost:8080/health || exit 1'], interval: 90, timeout: 10, startPeriod: 60, retries: 5 },
    });
    assert.deepEqual(services[0]!.container.secrets, [{ source: 'shop_db-password', target: '/run/secrets/db-password' }]);
    assert.equal(services[0]!.container.shmSize, 268435456);
    assert.equal(services[0]!.strategy.stopGracePeriod, 60);
  });

  test('O14 O15 a name without a value is absent, an inactive profile is not made, an external volume is said to be one', () => {
    const app = plan('o14-forms').services.find((s) => s.name === 'stats-app')!;
    assert.deepEqual(app.container.environment, { BASE_URL: 'http://localhost', GIVEN: 'here', TITLE: 'a\\ b' });
    assert.deepEqual(app.container.networks.map((n: { name: string; internal?: boolean }) => [n.name, n.internal]), [['stats_inside', true], ['stats_outside', undefined]]);
    const many = plan('o15-many');
    assert.deepEqual(many.services.map((s) => s.name), ['errors-db', 'errors-redis', 'errors-web'].sort((a, b) => many.services.findIndex((s) => s.name === a) - many.services.findIndex((s) => s.name === b)));
    const web = many.services.find((s) => s.name === 'errors-web')!;
    assert.deepEqual(web.container.volumes, [{ source: 'data', target: '/data', readonly: false, external: true }, { source: 'errors_scratch', target: '/scratch', readonly: false }]);
    assert.equal(plan('o15-many', { ...usual, profiles: ['gpu'] }).services.find((s) => s.name === 'errors-card')!.container.gpus, 'all');
  });

  test('O16 a long port keeps its loopback address, and a secret is a file', () => {
    const [db] = plan('o16-long', { ...usual, env: { API_TOKEN: 't' } }).services;
    assert.deepEqual(db!.container.ports, [{ container: 3306, protocol: 'tcp', host: 3307, address: 'loopback' }]);
    assert.deepEqual(db!.container.secrets.map((s: { target: string }) => s.target), ['/run/secrets/root-password', '/run/secrets/api.token', '/etc/mysql/conf.d/my.cnf']);
    assert.deepEqual(db!.container.environment, { MYSQL_ROOT_PASSWORD_FILE: '/run/secrets/root-password' });
  });

  test('O17 dollar signs arrive as they were meant', () => {
    const [app] = plan('o17-dollars').services;
    const { SINGLE, SINGLE_VAR, BCRYPT, RAW_DOLLAR, DOUBLED } = app!.container.environment;
    assert.deepEqual([SINGLE, SINGLE_VAR, BCRYPT, RAW_DOLLAR, DOUBLED], ['pa$$word', 'abc$def', '$2y$10$abcdefghijklmnopqrstuv', "abc$def $$ 'x'", 'pa$word']);
  });

  test('a domain goes to the service of that name, not to one whose name ends so', () => {
    const input = 'services: {otherweb: {image: x, ports: ["80"]}, web: {image: x, ports: ["80"]}}';
    const args = ['compose', 'import', '-', '--project', 'shop', '--plan', '--domain', 'web=shop.example.org'];
    const done = spawnSync(binary, args, { input, encoding: 'utf8', env: cleanEnv('/home/nobody') });
    assert.equal(done.status, 0, done.stderr);
    const domains = (JSON.parse(done.stdout) as Plan).services.map((s) => [s.name, s.networking.domains]);
    assert.deepEqual(Object.fromEntries(domains), { 'shop-otherweb': undefined, 'shop-web': ['shop.example.org'] });
  });

  test('what has no meaning here is named', () => {
    const { remarks } = plan('shop');
    assert.ok(remarks.some((r) => r.service === 'web' && r.field === 'logging'));
    assert.ok(remarks.some((r) => r.field === 'ports' && r.text.includes('8080 is published on loopback only')));
  });

  test('a key that Compose does not know, a circle, a wrong port: refused with the place', () => {
    const refused = (yaml: string, wanted: RegExp) => {
      const done = spawnSync(binary, ['compose', 'config', '-'], { input: yaml, encoding: 'utf8', env: cleanEnv('/home/nobody') });
      assert.equal(done.status, 1, done.stdout);
      assert.match(done.stderr, wanted);
    };
    refused('services: {a: {image: x, imgae: y}}', /services\.a.*Compose knows no imgae/);
    refused('services: {a: {image: x, ports: ["99999:1"]}}', /services\.a\.ports.*99999/);
    refused('services: {a: {extends: b}, b: {extends: a}}', /circle/);
    refused('services: {a: {image: x, depends_on: [nobody]}}', /no service nobody/);
    refused('services: {a: {image: x, volumes: ["v:/v"]}}', /volume v is not defined/);
    refused('services: {a: {image: "${X:?}"}}', /X is required/);
    refused('services: {a: {image: x, mem_limit: lots}}', /services\.a\.mem_limit: must be a size/);
  });
});
