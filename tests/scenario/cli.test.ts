// The command line against a real hub and engine: deploying from a file, exit statuses, what scripts rely on.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { cli as run, repository, type CliResult } from '../support/hub.ts';
import { engines } from '../support/parts/docker.ts';
import { Registry } from '../support/parts/registry.ts';
import { service, text, useRig } from '../support/rig.ts';

const [flavour] = engines;

describe('the command line', { skip: flavour.skip || Registry.skip }, () => {
  const rig = useRig(flavour);
  let folder: string;
  before(() => (folder = mkdtempSync(join(tmpdir(), 'hbcloud-cli-'))));
  after(() => rmSync(folder, { recursive: true, force: true }));

  const cli = (...args: string[]): Promise<CliResult> => run(args, { hub: rig.hub });
  const withKey = (key: string, ...args: string[]): Promise<CliResult> => run(args, { env: { HBCLOUD_URL: rig.hub.url, HBCLOUD_API_KEY: key } });

  /** A service file in the test's folder. */
  function file(name: string, image: string, environment: Record<string, string>): string {
    const path = join(folder, `${name}.yaml`);
    const lines = Object.entries(environment).map(([key, value]) => `    ${key}: ${JSON.stringify(value)}\n`);
    writeFileSync(
      path,
      `name: ${name}\ncontainer:\n  image: ${image}\n  environment:\n${lines.join('')}` +
        'networking:\n  internalPort: 8080\n  healthCheck: { path: /health, interval: 1, retries: 1, startPeriod: 0 }\n',
    );
    return path;
  }

  test('deploy -f makes a service, then changes it to what the file says, and ends 0 when it serves', async () => {
    const first = await cli('services', 'deploy', '-f', file('hello', await rig.demo('1'), { GREETING: 'hello', GONE: 'x' }));
    assert.deepEqual([first.code, first.stderr.includes('pull')], [0, true], first.stderr);
    const { networking } = await service(rig.hub, 'hello');
    assert.equal(first.stdout, `hello serves at ${networking.url}\n`);
    assert.equal(await text(networking.url), '1');

    const second = await cli('services', 'deploy', '-f', file('hello', await rig.demo('2'), { GREETING: 'hello' }));
    assert.equal(second.code, 0, second.stderr);
    const now = await service(rig.hub, 'hello');
    assert.equal(await text(now.networking.url), '2');
    assert.ok(now.container.environment.includes('GREETING'));
    assert.ok(!now.container.environment.includes('GONE'), 'what the file no longer names is gone');
  });

  test('a release that does not come to serve ends 1 with the cause, and the old one still serves', async () => {
    await cli('services', 'deploy', '-f', file('steady', await rig.demo('1'), { A: '1' }));
    const failed = await cli('services', 'deploy', '-f', file('steady', await rig.demo('2'), { CRASH: '1' }));
    assert.equal(failed.code, 1, failed.stderr);
    assert.match(failed.stderr, /the deployment of steady (failed|was rolled back): /);
    assert.equal(failed.stdout, '');
    assert.equal(await text((await service(rig.hub, 'steady')).networking.url), '1');
  });

  test('--no-wait returns at once, deployments watch follows to the end', async () => {
    const started = await cli('services', 'deploy', 'later', '--image', await rig.demo('1'), '--port', '8080', '--health-path', '/health', '--no-wait');
    assert.equal(started.code, 0, started.stderr);
    const watched = await cli('deployments', 'watch', started.stdout.trim());
    assert.deepEqual([watched.code, watched.stdout], [0, 'later: completed\n'], watched.stderr);
    assert.equal(await text((await service(rig.hub, 'later')).networking.url), '1');
  });

  test('--json is what the API said, without a byte of its own', async () => {
    const said = await cli('services', 'show', 'hello', '--json');
    const reply = JSON.parse(said.stdout) as { service: { name: string } };
    assert.deepEqual(Object.keys(reply), ['service']);
    assert.equal(reply.service.name, 'hello');
    const none = await cli('services', 'show', 'nothing', '--json');
    assert.equal(none.code, 1);
    assert.equal((JSON.parse(none.stdout) as { error: { code: string } }).error.code, 'NOT_FOUND');
  });

  test('lists are plain tables where there is no terminal', async () => {
    const said = await cli('services', 'list', '--managed');
    assert.match(said.stdout, /^NAME +STATUS +HEALTH/);
    assert.match(said.stdout, /\nhello +running +healthy +/);
    assert.doesNotMatch(said.stdout, /\x1b/);
  });

  test('stop, start and remove; removing without a terminal wants --yes', async () => {
    assert.equal((await cli('services', 'stop', 'later')).stdout, 'later is stopped.\n');
    assert.equal((await cli('services', 'start', 'later')).stdout, 'later is started.\n');
    const asked = await cli('services', 'remove', 'later');
    assert.deepEqual([asked.code, /--yes/.test(asked.stderr)], [2, true]);
    const removed = await cli('services', 'remove', 'later', '--yes');
    assert.deepEqual([removed.code, removed.stdout], [0, 'later is removed.\n'], removed.stderr);
    assert.equal((await cli('services', 'show', 'later')).code, 1);
  });

  test('logs are the exact bytes that the API gives', async () => {
    const said = await cli('services', 'logs', 'hello', '--tail', '1000');
    assert.equal(said.stdout, (await rig.logs('hello', { tail: 1000 })).toString());
  });

  test('exit statuses: 2 wrong usage, 3 no hub, 4 not allowed', async () => {
    assert.equal((await cli('nodes', 'lst')).code, 2);
    assert.equal((await cli('nodes', 'list', '--url', 'http://127.0.0.1:1')).code, 3);
    const made = await cli('keys', 'create', 'reader', '--role', 'viewer');
    assert.match(made.stdout, /^hbc_\S+\n$/);
    const key = made.stdout.trim();
    assert.equal((await withKey(key, 'nodes', 'list')).code, 0);
    const refused = await withKey(key, 'nodes', 'add', 'x');
    assert.deepEqual([refused.code, refused.stderr.includes(key)], [4, false]);
    assert.equal((await withKey('wrong', 'nodes', 'list')).code, 4);
  });

  test('a short-lived token works in place of the key', async () => {
    const token = (await cli('token', '--role', 'viewer', '--expires', '1m')).stdout.trim();
    assert.equal((await withKey(token, 'services', 'list')).code, 0);
    assert.equal((await withKey(token, 'keys', 'list')).code, 4);
  });

  test('names are completed by asking the hub', async () => {
    assert.match((await cli('__complete', 'services', 'show', 'hel')).stdout, /^hello\t/);
    const [node] = (await rig.hub.ok('GET', '/infrastructure/nodes')).nodes;
    assert.ok((await cli('__complete', 'nodes', 'show', '')).stdout.includes(`${node!.name}\t`));
  });

  test('the audit is whole after all this, and config show masks secrets', async () => {
    assert.match((await cli('audit', 'verify')).stdout, /^The audit is whole: \d+ entries/);
    const shown = await cli('config', 'show');
    assert.match(shown.stdout, /^listen +127\.0\.0\.1:\d+ +flag /m);
  });

  test('config check names what is wrong in a settings file, and starts nothing', async () => {
    const path = join(folder, 'settings.yaml');
    writeFileSync(path, 'listen: 127.0.0.1:0\nlog:\n  levle: debug\n');
    const wrong = await cli('config', 'check', '--config', path);
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /settings\.yaml:3: 'log\.levle' is not a setting; did you mean 'log\.level'\?/);
    assert.equal((await cli('config', 'check', '--listen', '0.0.0.0:3000')).code, 1);
    assert.equal((await cli('config', 'check', '--lisen', 'x')).code, 2);
    assert.equal((await cli('config', 'check')).code, 0);
  });

  test('config env-example prints the file of the repository', async () => {
    assert.equal((await cli('config', 'env-example')).stdout, readFileSync(join(repository, '.env.example'), 'utf8'));
  });
});
