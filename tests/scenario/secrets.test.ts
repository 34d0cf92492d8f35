// O32, O34: what was given as a secret is nowhere to be read, after success and after failure: no reply, no event, no log,
// no audit entry, no file of the database, no metric. Planted as values, in their several disguises.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parse } from 'yaml';
import { repository } from '../support/hub.ts';
import { shellImage, stay } from '../support/images.ts';
import { dockerOld } from '../support/parts/docker.ts';
import { Registry } from '../support/parts/registry.ts';
import { useRig } from '../support/rig.ts';
import { waitFor } from '../support/wait.ts';

const canary = (n: number) => `c4n4ry${n}-7f3d9e`;
const environment = {
  PLAIN: canary(1),
  URL: `https://user:${canary(2)}@db.example.org:5432/x?sslmode=require`,
  JSON: JSON.stringify({ token: canary(3), nested: { key: canary(4) } }),
  PEM: `-----BEGIN KEY-----\n${canary(5)}\n${canary(6)}\n-----END KEY-----\n`,
  QUOTED: `"${canary(7)}" 'and' $${canary(8)}`,
};
/** The whole values and their parts; as they are, and as JSON and base64 would hide them. */
const needles = [...Array(8).keys()].flatMap((i) => [canary(i + 1), Buffer.from(canary(i + 1)).toString('hex')]).concat(Object.values(environment).map((v) => Buffer.from(v).toString('base64').slice(0, -4)));

function found(where: string, haystack: string | Buffer): string[] {
  const text = Buffer.isBuffer(haystack) ? haystack.toString('latin1') : haystack;
  return needles.filter((needle) => text.includes(needle)).map((needle) => `${where}: …${text.slice(Math.max(0, text.indexOf(needle) - 120), text.indexOf(needle) + 40)}`);
}

describe('O32 O34 secrets', { skip: dockerOld.skip || Registry.skip }, () => {
  const rig = useRig(dockerOld, { env: { HBCLOUD_LOG_LEVEL: 'debug', HBCLOUD_RATE_KNOWN: '0', HBCLOUD_METRICS_INTERVAL: '1s', DD_API_KEY: canary(1), SENTRY_DSN: `https://${canary(2)}@sentry.example.org/1` } });

  let beginning: string | undefined;

  /** Every GET of the contract, once for each thing that there is. */
  async function everything(key: string): Promise<string[]> {
    const contract = parse(readFileSync(`${repository}/docs/api/openapi.yaml`, 'utf8'));
    const lists: Record<string, string[]> = {
      nodeId: (await rig.hub.ok('GET', '/infrastructure/nodes')).nodes.map((n) => n.id),
      serviceId: (await rig.hub.ok('GET', '/services')).services.map((s) => s.name),
      deploymentId: (await rig.hub.ok('GET', '/deployments')).deployments.map((d) => d.id),
      keyId: (await rig.hub.ok('GET', '/keys')).keys.map((k) => k.id),
      secretName: (await rig.hub.ok('GET', '/secrets')).secrets.map((s) => s.name),
      registryHost: (await rig.hub.ok('GET', '/registries')).registries.map((r) => r.host),
      jobId: (await rig.hub.ok('GET', '/jobs')).jobs.map((j) => j.id),
    };
    const hits: string[] = [];
    for (const [path, item] of Object.entries<any>(contract.paths)) {
      if (!item.get || item.get['x-stream'] || path.endsWith('/logs')) continue; // what a service itself writes is its own
      const name = /\{(\w+)\}/.exec(path)?.[1];
      for (const value of name ? (lists[name] ?? ['any']) : ['']) {
        const url = (item.servers?.[0].url === '/' ? '' : '/v1') + path.replace(/\{\w+\}/, value);
        const reply = await rig.hub.raw('GET', url, { key, query: path === '/monitoring/query' ? { name: 'load.1' } : {} });
        assert.ok(reply.status < 500, `${url}: ${reply.status}`);
        hits.push(...found(`GET ${url}`, JSON.stringify(reply.body) + JSON.stringify([...reply.headers])));
      }
    }
    return hits;
  }

  test('planted in deployments that succeed, crash, say it aloud, never get healthy, and in refused requests', async () => {
    const events = await rig.events();
    beginning = (await events.until((e) => e.id !== undefined)).id;
    const [image, talker] = [await rig.demo('1'), await rig.push('talker', '1', shellImage('echo "starting with $PLAIN and $URL"; echo "$PEM" >&2; exit 3'))];
    const quiet = await rig.push('quiet', '1', shellImage(stay));
    await rig.serve('good', image, { container: { image, environment } });
    const ends = await Promise.all([
      rig.deploy('crashes', image, { container: { image, environment: { ...environment, CRASH: '1' } } }),
      rig.deploy('talks', talker, { container: { image: talker, environment } }),
      rig.deploy('sick', quiet, { container: { image: quiet, environment }, networking: { internalPort: 1, healthCheck: { command: ['/bin/sh', '-c', 'echo "$PLAIN $URL"; exit 1'], interval: 1, timeout: 1, retries: 1, startPeriod: 0 } } }),
      rig.deploy('absent', `${rig.registry.address}/absent:1`, { container: { image: `${rig.registry.address}/absent:1`, environment } }),
    ]);
    for (const end of ends) assert.equal(end.status.state, 'failed');
    assert.equal((await rig.update('good', { container: { environment: { PLAIN: canary(3), CRASH: '1' } } })).status.state, 'rolled_back');
    assert.equal((await rig.update('good', { container: { environment: { PLAIN: canary(3), URL: null } } })).status.state, 'completed');
    await rig.hub.refused(400, 'POST', '/services', { body: { name: 'Bad Name', container: { image, environment: { ...environment, 'not-a-key': canary(4) } }, networking: { internalPort: 8080 } } as never });
    await rig.hub.raw('POST', '/v1/services', { body: `{"name":"cut","container":{"environment":{"A":"${canary(5)}"` });
    await rig.hub.raw('GET', '/v1/services', { key: `hbc_${canary(6)}` });
    await waitFor(async () => (await rig.containersOf('good')).length === 1);
    for (const value of Object.values(environment)) await rig.hub.ok('PUT', '/secrets/{secretName}', { params: { secretName: 'planted' }, body: { value } });
    await rig.hub.ok('PUT', '/registries/{registryHost}', { params: { registryHost: 'registry.example.org' }, body: { username: 'me', password: environment.URL } });
    events.close();
    assert.deepEqual(events.seen.flatMap((e) => found(`event ${e.type}`, JSON.stringify(e.data))), []);
  });

  test('no GET of the contract shows it, to an owner or to a viewer', async () => {
    const viewer = await rig.hub.ok('POST', '/keys', { body: { name: 'reader', role: 'viewer' } });
    for (const key of [rig.hub.key!, viewer.secret]) assert.deepEqual(await everything(key), []);
    const { entries } = await rig.hub.ok('GET', '/audit', { query: { operation: 'deployService' } });
    assert.ok(entries.length >= 5, 'and yet each write is in the audit');
    assert.ok(JSON.stringify(entries).includes('PLAIN'), 'the key is, the value is not');
  });

  test('a stream that resumes from before all that shows nothing either', async () => {
    const again = await rig.events({ lastEventId: beginning });
    await again.until((e) => e.type === 'reset' || (e.type === 'deployment.updated' && e.data.data.status.state === 'completed'));
    again.close();
    assert.deepEqual(again.seen.flatMap((e) => found(e.type, JSON.stringify(e.data))), []);
  });

  test('it is in no line of the log, even at debug, and in no file of the data, as the hub runs and after its end', async () => {
    const files = () => readdirSync(rig.hub.dataDir).flatMap((file) => found(file, readFileSync(join(rig.hub.dataDir, file))));
    assert.deepEqual(files(), []);
    await rig.hub.restart();
    assert.deepEqual(files(), []);
    assert.deepEqual(found('log', rig.hub.output), []);
    assert.deepEqual(found('cmdline', readFileSync(`/proc/${rig.hub.pid}/cmdline`)), []);
  });
});
