// O33, O34: secrets and registry logins. Values reach containers byte for byte, come out nowhere else, stay as long as a kept
// release needs them; a login that the registry refuses is not kept, and a good one pulls.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { binary, cleanEnv, cli } from '../support/hub.ts';
import { shellImage, stay } from '../support/images.ts';
import { dockerOld } from '../support/parts/docker.ts';
import { Registry } from '../support/parts/registry.ts';
import { useRig } from '../support/rig.ts';
import { waitFor } from '../support/wait.ts';

const sha256 = (bytes: Buffer | string): string => createHash('sha256').update(bytes).digest('hex');
const networking = { internalPort: 1, healthCheck: { command: ['/bin/true'], interval: 1, retries: 1, startPeriod: 0 } };
const canary = `c4n4ry-${randomBytes(9).toString('hex')}`;
const values: Record<string, string> = {
  pem: `-----BEGIN KEY-----\n${canary}\nabc\n-----END KEY-----\n`,
  crlf: `a\r\n${canary}\r\n`,
  'final-newline': `${canary}\n`,
  quotes: `"${canary}" 'x' \\n \`y\``,
  dollars: `$${canary} $$ \${HOME} %s %% a=b=c`,
  blank: ` ${canary}`,
  emoji: `🔑 é ${canary}`,
  long: canary + 'x'.repeat(65536 - canary.length),
};

describe('the secret store', { skip: dockerOld.skip || Registry.skip }, () => {
  const rig = useRig(dockerOld, { env: { HBCLOUD_LOG_LEVEL: 'debug' } });
  let folder: string;
  before(() => (folder = mkdtempSync(join(tmpdir(), 'hbcloud-secrets-'))));
  after(() => rmSync(folder, { recursive: true, force: true }));

  const run = (...args: string[]) => cli(args, { hub: rig.hub });

  /** With something on standard input. */
  function piped(input: string | Buffer, ...args: string[]): { code: number | null; output: string } {
    const ran = spawnSync(binary, args, { input, encoding: 'utf8', cwd: folder, env: cleanEnv(folder, { HBCLOUD_URL: rig.hub.url, HBCLOUD_API_KEY: rig.hub.key! }) });
    return { code: ran.status, output: ran.stdout + ran.stderr };
  }

  const set = (name: string, value: string) => rig.hub.ok('PUT', '/secrets/{secretName}', { params: { secretName: name }, body: { value } });

  test('O33: by API, file and standard input, each value is the same bytes in the container, as a variable and as a file', async () => {
    const names = Object.keys(values);
    for (const [i, name] of names.entries()) {
      const [value, file] = [values[name]!, join(folder, 'value')];
      writeFileSync(file, value);
      const ran = [() => set(name, value).then(() => ({ code: 0, output: '' })), () => run('secrets', 'set', name, '--from-file', file).then((r) => ({ code: r.code, output: r.stderr })), async () => piped(value, 'secrets', 'set', name)][i % 3]!;
      assert.deepEqual(await ran().then((r) => r.code), 0, name);
    }
    const lines = names.map((name, i) => `printf %s "$V${i}" | sha256sum; sha256sum </run/secrets/${name}`).join('; ');
    const image = await rig.push('exact', '1', shellImage(`${lines}; ${stay}`));
    await rig.serve('exact', image, { container: { image, environment: Object.fromEntries(names.map((name, i) => [`V${i}`, { secret: name }])), secrets: names.map((name) => ({ source: name, target: `/run/secrets/${name}` })) }, networking });
    const wanted = names.flatMap((name) => [sha256(values[name]!), sha256(values[name]!)]);
    await waitFor(async () => (await rig.logs('exact')).toString().split('\n').length > wanted.length);
    assert.deepEqual((await rig.logs('exact')).toString().trim().split('\n').map((line) => line.split(' ')[0]), wanted);
  });

  test('what is no text survives as well, and what is too long is refused', async () => {
    const bytes = randomBytes(65536);
    assert.equal(piped(bytes, 'secrets', 'set', 'raw').code, 0);
    const refused = piped(Buffer.concat([bytes, bytes]), 'secrets', 'set', 'raw');
    assert.deepEqual([refused.code, /65536 bytes/.test(refused.output)], [1, true]);
    await rig.hub.refused(400, 'PUT', '/secrets/{secretName}', { params: { secretName: 'raw' }, body: { value: 'x'.repeat(65537) } });
    const image = await rig.push('raw', '1', shellImage(`sha256sum </run/secrets/raw; ${stay}`));
    await rig.serve('raw', image, { container: { image, secrets: [{ source: 'raw', target: '/run/secrets/raw' }] }, networking });
    await waitFor(async () => (await rig.logs('raw')).toString().includes(sha256(bytes)));
  });

  test('O34: nothing that is read shows a value: no reply, event, log line or file', async () => {
    const events = await rig.events();
    await set('pem', values.pem!);
    await events.until((e) => e.type === 'secret.updated');
    events.close();
    const viewer = await rig.hub.ok('POST', '/keys', { body: { name: 'reader', role: 'viewer' } });
    for (const key of [rig.hub.key!, viewer.secret]) {
      for (const path of ['/v1/secrets', '/v1/secrets/pem', '/v1/services/exact', '/v1/deployments', '/v1/jobs', '/v1/audit']) {
        const reply = await rig.hub.raw('GET', path, { key });
        assert.ok(!JSON.stringify(reply.body).includes(canary), `GET ${path}`);
      }
      if (key === viewer.secret) assert.equal((await rig.hub.raw('PUT', '/v1/secrets/pem', { key, body: { value: 'x' } })).status, 403);
    }
    assert.ok(!JSON.stringify(events.seen.map((e) => e.data)).includes(canary));
    assert.ok(!rig.hub.output.includes(canary));
    for (const file of readdirSync(rig.hub.dataDir).filter((f) => f.startsWith('hub.db'))) assert.ok(!readFileSync(join(rig.hub.dataDir, file)).includes(canary), file);
  });

  test('a release keeps its version: it cannot be deleted, and a new one comes with a deployment that names it', async () => {
    await set('color', 'red');
    const image = await rig.push('painter', '1', shellImage(`echo "$COLOR"; ${stay}`));
    await rig.serve('painter', image, { container: { image, environment: { COLOR: { secret: 'color' } } }, networking });
    await set('color', 'blue');
    const refused = await rig.hub.raw('DELETE', '/v1/secrets/color?version=1');
    assert.deepEqual([refused.status, /painter/.test(refused.body.error.message)], [409, true], JSON.stringify(refused.body));
    assert.equal((await rig.hub.raw('DELETE', '/v1/secrets/color?version=2')).status, 204);
    await set('color', 'green');
    assert.equal((await rig.update('painter', { container: { environment: { OTHER: '1' } } })).status.state, 'completed');
    assert.equal((await rig.logs('painter')).toString(), 'red\n', 'a deployment for another reason changes no secret');
    assert.equal((await rig.update('painter', { container: { environment: { COLOR: { secret: 'color' } } } })).status.state, 'completed');
    await waitFor(async () => (await rig.logs('painter')).toString() === 'green\n');
    const { secret } = await rig.hub.ok('GET', '/secrets/{secretName}', { params: { secretName: 'color' } });
    assert.deepEqual(secret.versions.map((v) => v.version), [3, 1], 'the number of a deleted version is not given again');
  });

  test('a private registry: a wrong login is refused and not kept, a good one pulls, and after logout nothing does', async (t) => {
    const password = `p@ss "${canary}"`;
    const registry = await Registry.start(t, { login: { user: 'deployer', password } });
    const { reference } = await registry.push('private/app', '1', shellImage(stay));
    assert.equal((await rig.deploy('early', reference, { container: { image: reference }, networking })).status.state, 'failed');
    const wrong = piped('wrong\n', 'registries', 'login', registry.address, '--username', 'deployer');
    assert.deepEqual([wrong.code, /does not take/.test(wrong.output)], [1, true], wrong.output);
    assert.deepEqual((await rig.hub.ok('GET', '/registries')).registries, []);
    const good = piped(`${password}\n`, 'registries', 'login', registry.address, '--username', 'deployer');
    assert.equal(good.code, 0, good.output);
    await rig.serve('private', reference, { container: { image: reference }, networking });
    assert.match((await run('registries', 'list')).stdout, new RegExp(`${registry.address} +deployer`));
    assert.equal((await run('registries', 'logout', registry.address)).code, 0);
    assert.deepEqual((await rig.hub.ok('GET', '/registries')).registries, []);
    assert.ok(!rig.hub.output.includes(canary));
  });
});
