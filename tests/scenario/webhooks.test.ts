// Webhooks of CI: who sent them, what each means, and that each counts once.
import assert from 'node:assert/strict';
import { createHmac, randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { GithubApi, TravisApi } from '../support/ci-vendors.ts';
import type { Reply } from '../support/client.ts';
import { build, check, commit, completed, deleted, deliver, inProgress, job, published, push, repository, requested, run, secret, sign, worked } from '../support/deliveries.ts';
import { Hub } from '../support/hub.ts';
import { exchange } from '../support/raw.ts';
import { waitFor } from '../support/wait.ts';

const github = new GithubApi(), travis = new TravisApi();
let hub: Hub;
before(async () => {
  await Promise.all([github.start(), travis.start()]);
  const env = { GITHUB_WEBHOOK_SECRET: secret, GITHUB_BASE_URL: github.url, GITHUB_TOKEN: GithubApi.token, TRAVIS_BASE_URL: travis.url, TRAVIS_TOKEN: TravisApi.token };
  hub = await Hub.start({ env });
});
after(async () => {
  await Promise.all([github.stop(), travis.stop()]);
  if (hub?.running) await hub.stop();
  await hub?.discard();
});

const runs = async (query = {}) => (await hub.ok('GET', '/ci/runs', { query: { limit: 1000, ...query } })).runs;
const theRun = async (id: string) => (await runs()).find((r) => r.id === id);
const rule = (body: any) => hub.ok('POST', '/ci/rules', { body });
const approvals = async (service: string) => (await hub.ok('GET', '/ci/approvals', { query: { service } })).approvals;
const take = async (event: string, payload: unknown): Promise<any> => worked(hub, await deliver(hub, event, payload));

describe('GitHub', () => {
  const odd = JSON.stringify(push('refs/heads/main', { note: 'é 🍵' })).replace('"created":false', '"created" :  false').replaceAll('/', '\\/') + '\n';

  test('O18: the exact bytes are signed: emoji, accents, escaped slashes, final newline, as JSON and as a form', async () => {
    for (const [form, text] of [[false, odd], [true, odd.replace('12:00', '12:01')]] as const) {
      const reply = await deliver(hub, 'push', text, { form });
      assert.deepEqual([reply.status, reply.body.accepted], [202, true], JSON.stringify(reply.body));
      assert.equal((await worked(hub, reply)).verdict, 'tracked');
      for (const changed of [text.slice(0, -1), text.replace('é', 'e'), text.replace('\\/', '/')]) {
        const body = form ? `payload=${encodeURIComponent(changed)}` : changed;
        const good = form ? `payload=${encodeURIComponent(text)}` : text;
        assert.equal((await deliver(hub, 'push', changed, { form, headers: { 'x-hub-signature-256': sign(good) } })).status, 401, body.slice(0, 40));
      }
    }
  });

  test('O19: only sha256= and 64 lower-case digits, once; nothing is kept of anything else', async () => {
    const body = JSON.stringify(push('refs/heads/main')), right = sign(body), hmac = (name: string) => createHmac(name, secret).update(body).digest('hex');
    const before = (await hub.ok('GET', '/ci/deliveries', { query: { limit: 1000 } })).deliveries.length;
    const wrong = ['', 'sha256=', right.slice(0, -1), `${right}0`, right.toUpperCase(), `SHA256=${right.slice(7)}`, `sha256=${right.slice(7).toUpperCase()}`, `sha1=${hmac('sha1')}`, `sha512=${hmac('sha512')}`, `md5=${hmac('md5')}`, `no-such-hash=${right.slice(7)}`, `sha256=${'a'.repeat(10_240)}`, right.slice(7)];
    for (const value of wrong) assert.equal((await deliver(hub, 'push', body, { headers: { 'x-hub-signature-256': value } })).status, 400, value.slice(0, 80));
    const plain = { 'content-type': 'application/json', 'x-github-event': 'push', 'x-github-delivery': randomUUID() };
    assert.equal((await hub.raw('POST', '/v1/webhooks/github', { body, headers: { ...plain, 'x-hub-signature': `sha1=${hmac('sha1')}` }, key: null })).status, 400);
    const twice = `POST /v1/webhooks/github HTTP/1.1\r\nHost: hub\r\nConnection: close\r\nContent-Type: application/json\r\nX-GitHub-Event: push\r\nX-GitHub-Delivery: ${randomUUID()}\r\nX-Hub-Signature-256: ${right}\r\nX-Hub-Signature-256: ${right}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n`;
    assert.match((await exchange(hub.port, Buffer.from(twice + body))).text, /^HTTP\/1.1 400 /);
    assert.equal((await hub.ok('GET', '/ci/deliveries', { query: { limit: 1000 } })).deliveries.length, before);
  });

  test('another secret, no secret, no JSON, no event: refused', async (t) => {
    const body = JSON.stringify({ zen: 'Design for failure.' });
    assert.equal((await deliver(hub, 'ping', body, { headers: { 'x-hub-signature-256': sign(body, 'guess') } })).status, 401);
    for (const bad of ['{"zen":', '[1]', '"text"', '{"a":1,"a":2}']) assert.equal((await deliver(hub, 'ping', bad)).status, 400, bad);
    assert.equal((await deliver(hub, 'ping/../x', body)).status, 400);
    const bare = await Hub.start();
    t.after(() => bare.discard());
    const reply = await deliver(bare, 'ping', body);
    assert.deepEqual([reply.status, /GITHUB_WEBHOOK_SECRET/.test(reply.body.error.message)], [503, true]);
  });

  test('each delivery once: by its id, by its content, after kill -9', async () => {
    const id = randomUUID(), payload = completed({ id: 777 });
    const first = await deliver(hub, 'workflow_run', payload, { id });
    assert.equal(first.body.accepted, true);
    const again = await Promise.all([deliver(hub, 'workflow_run', payload, { id }), deliver(hub, 'workflow_run', payload)]);
    assert.deepEqual(again.map((r) => [r.status, r.body.duplicate]), [[202, true], [202, true]]);
    await hub.kill9();
    await hub.restart();
    assert.equal((await worked(hub, first)).verdict, 'tracked');
    assert.equal((await deliver(hub, 'workflow_run', payload, { id })).body.duplicate, true);
    assert.equal((await runs()).filter((r) => r.id === '777').length, 1);
    assert.deepEqual((await hub.ok('GET', '/audit', { query: { operation: 'receiveGithubWebhook' } })).entries, [], 'a delivery is in its own list, and no act of somebody');
  });

  test('O20: deleted branches and tags, names with a slash, commits that are nobody: recorded as ignored, nothing deploys', async () => {
    await rule({ match: { repository, branch: 'release' }, service: 'gone', image: 'registry.example.org/gone:{commit}' });
    for (const ref of ['refs/heads/release', 'refs/tags/v1', 'refs/heads/fix/a/b', 'refs/tags/release']) {
      const { verdict, reason } = await take('push', deleted(ref));
      assert.deepEqual([verdict, /was deleted/.test(reason)], ['ignored', true], ref);
    }
    assert.equal((await take('push', push('refs/heads/release', { head_commit: null }))).verdict, 'ignored');
    await take('push', push('refs/tags/release'));
    await take('workflow_run', completed({ id: 610, head_branch: 'release' }));
    await take('workflow_run', completed({ id: 611, head_branch: 'release', head_repository: { full_name: 'stranger/shop' }, head_sha: 'ab'.repeat(20) }));
    await take('workflow_run', completed({ id: 612, head_branch: 'release', event: 'pull_request', head_sha: 'cd'.repeat(20) }));
    assert.deepEqual(await approvals('gone'), [], 'a tag of that name, a fork and a pull request are not the branch');
    await take('workflow_run', completed({ id: 613, head_branch: 'release', head_sha: 'ef'.repeat(20) }));
    assert.equal((await approvals('gone')).length, 1, 'the branch is');
  });

  test('news in any order: a run never moves back, its next attempt does begin anew', async () => {
    const one = { id: 640 };
    await take('workflow_run', completed(one));
    for (const late of [requested(one), inProgress(one)]) await take('workflow_run', late);
    assert.deepEqual(((r) => [r?.status, r?.conclusion, r?.commitMessage])(await theRun('640')), ['completed', 'success', 'Add the cart']);
    await take('workflow_run', inProgress({ ...one, run_attempt: 2 }));
    assert.deepEqual(((r) => [r?.status, r?.conclusion])(await theRun('640')), ['in_progress', null]);
    await take('workflow_run', completed({ ...one, conclusion: 'failure' }));
    assert.equal((await theRun('640'))?.status, 'in_progress', 'an end of the first attempt comes too late');
    await take('workflow_run', completed({ ...one, run_attempt: 2, conclusion: 'startup_failure' }));
    assert.deepEqual(((r) => [r?.status, r?.conclusion])(await theRun('640')), ['completed', 'failure'], 'an unknown word is a failure');
  });

  test('a job before its run, checks, statuses, deployments: all are known', async () => {
    await take('workflow_job', job('build 🏗', 9001, null));
    assert.deepEqual(((r) => [r?.status, r?.name, r?.jobs[0]?.name, r?.jobs[0]?.status])(await theRun('501')), ['in_progress', 'ci', 'build 🏗', 'in_progress']);
    await take('workflow_job', job('build 🏗', 9001));
    await take('workflow_run', completed());
    assert.deepEqual(((r) => [r?.status, r?.jobs[0]?.conclusion])(await theRun('501')), ['completed', 'success']);
    const about = { repository: { full_name: repository } }, deployment = { id: 31, sha: commit, ref: 'main', environment: 'production', created_at: '2026-11-25T11:00:00Z', payload: {} };
    await take('deployment', { action: 'created', deployment, ...about });
    await take('deployment_status', { action: 'created', deployment, deployment_status: { state: 'success', updated_at: '2026-11-25T11:05:00Z' }, ...about });
    assert.deepEqual(((r) => [r?.name, r?.conclusion, r?.foreign])(await theRun('d31')), ['production', 'success', true]);
    for (const [event, payload] of [['check_run', check('lint', 'success')], ['status', { id: 5, sha: commit, context: 'codecov/project', state: 'success', ...about }]] as const) assert.equal((await take(event, payload)).verdict, 'tracked', event);
    assert.match((await take('star', { action: 'created', ...about })).reason, /not one that is followed/);
    assert.equal((await take('check_run', { action: 'completed', ...about })).verdict, 'failed');
  });

  test('a rule deploys when its gates hold: which do and which do not is said; unknown does not hold', async () => {
    const gates = [{ check: 'unit 🧪' }, { figure: 'coverage', atLeast: 80 }, { figure: 'smells', atMost: 3 }];
    await rule({ match: { image: 'ghcr.io/example-org/gated:v*' }, service: 'gated', gates });
    await take('registry_package', published('example-org/gated', 'latest'));
    assert.deepEqual(await approvals('gated'), [], 'the pattern wants another tag');
    await take('package', { ...(published('Example-Org/Gated', 'v1') as any), package: (published('Example-Org/Gated', 'v1') as any).registry_package });
    const look = async () => (await approvals('gated'))[0]!;
    assert.deepEqual(((a) => [a.state, a.image, a.gates.map((g) => [g.held, g.found])])(await look()), ['gates', 'ghcr.io/example-org/gated:v1', [[false, 'unknown'], [false, 'unknown'], [false, 'unknown']]]);
    await take('check_run', check('unit 🧪', 'failure', { id: 900 }));
    await take('check_run', check('unit 🧪', 'success', { id: 899 }));
    const figure = (name: string, value: number) => hub.ok('POST', '/ci/figures', { body: { repository, commit, name, value } });
    await figure('coverage', 79.9);
    await figure('smells', 3);
    assert.deepEqual((await look()).gates.map((g) => [g.held, g.found]), [[false, 'failure'], [false, '79.9'], [true, '3']], 'an older check does not count');
    await figure('coverage', 80);
    await take('check_run', check('unit 🧪', 'success', { id: 901 }));
    const end = await waitFor(async () => (await look()).state === 'refused' && look(), { what: 'the end of waiting' });
    assert.match(end.reason!, /no service gated/, 'the gates hold; the service is not there');
  });

  test('one delivery may deploy several services, and a long name is cut between its letters', async () => {
    const names = ['one', 'two', 'three'], created: string[] = [];
    for (const service of names) await rule({ match: { repository, branch: 'wide' }, service, image: `r.example.org/${service}:{number}`, approval: 'required' });
    const stream = await hub.events({ query: { types: 'approval.*' } });
    assert.equal((await take('workflow_run', completed({ id: 660, head_branch: 'wide', name: `x${'é'.repeat(110)}` }))).verdict, 'tracked');
    await stream.until((seen) => seen.type === 'approval.created' && created.push(String((seen.data.data as any).service)) === names.length);
    assert.deepEqual(created, names, 'each is told of');
    assert.deepEqual((await approvals('two')).map((a) => a.pipeline), [`x${'é'.repeat(99)} #7`]);
    stream.close();
  });

  test('gates that never hold end in words; an approval is a person’s; newer news take the place of older ones', async () => {
    await rule({ match: { repository, branch: 'slow' }, service: 'slow', image: 'r.example.org/slow:{shortCommit}-{number}', gates: [{ check: 'never' }], gateTimeout: 1 });
    await take('workflow_run', completed({ id: 650, head_branch: 'slow' }));
    const end = await waitFor(async () => (await approvals('slow')).find((a) => a.state === 'expired'), { what: 'the deadline' });
    assert.deepEqual([end.image, end.reason], ['r.example.org/slow:1f0e3da-7', 'Not all gates held in 1 s: check never: unknown.']);
    await rule({ match: { image: 'ghcr.io/example-org/asked' }, service: 'asked', approval: 'required' });
    const tag = (name: string, created_at: string) => take('registry_package', published('example-org/asked', name, { package_version: { id: name.length, created_at, container_metadata: { tag: { name } } } }));
    await tag('v2', '2026-11-25T10:00:00Z');
    await tag('v10', '2026-11-25T11:00:00Z');
    await tag('v1', '2026-11-25T09:00:00Z');
    assert.deepEqual((await approvals('asked')).map((a) => [a.image, a.state]), [['ghcr.io/example-org/asked:v10', 'approval'], ['ghcr.io/example-org/asked:v2', 'superseded']]);
    const params = { approvalId: (await approvals('asked'))[0]!.id };
    const stream = await hub.events({ query: { types: 'approval.*' } });
    assert.equal((await hub.ok('POST', '/ci/approvals/{approvalId}/reject', { params })).approval.state, 'rejected');
    await hub.refused(409, 'POST', '/ci/approvals/{approvalId}/approve', { params });
    const event = await stream.until((seen) => seen.data.entityId === params.approvalId);
    assert.deepEqual([event.type, event.data.data.state], ['approval.updated', 'rejected']);
    stream.close();
  });

  test('runs that no delivery told of are asked for at the start: once each, the newest deploys, older ones do not', async () => {
    await rule({ match: { repository: 'example-org/missed', branch: 'main' }, service: 'missed', image: 'r.example.org/missed:{number}', approval: 'required' });
    const at = (s: number) => new Date(Date.now() + s * 1000).toISOString();
    const told = run({ id: 8001, run_number: 1, repository: { full_name: 'example-org/missed' }, head_repository: { full_name: 'example-org/missed' }, created_at: at(60), updated_at: at(61) });
    await take('workflow_run', { action: 'completed', workflow_run: told, repository: { full_name: 'example-org/missed' } });
    await hub.stop();
    github.runs = Array.from({ length: 120 }, (_, i) => ({ ...told, id: 8120 - i, run_number: 120 - i, created_at: at(200 - i), updated_at: at(201 - i) }));
    travis.builds['example-org/missed'] = [{ id: 77, number: '5', state: 'failed', event_type: 'push', started_at: at(1), finished_at: at(2), updated_at: at(2), branch: { name: 'main' }, tag: null, commit: { sha: commit, message: 'x' }, jobs: [] }];
    await hub.restart();
    await waitFor(async () => (await runs({ repository: 'example-org/missed' })).length === 121, { what: 'the missed runs' });
    assert.deepEqual((await approvals('missed')).map((a) => [a.image, a.state]), [['r.example.org/missed:120', 'approval'], ['r.example.org/missed:1', 'superseded']]);
  });

  test('lists are paged: each once, in the same order', async () => {
    for (const [path, key] of [['/ci/runs', 'runs'], ['/ci/deliveries', 'deliveries'], ['/ci/approvals', 'approvals']] as [any, string][]) {
      const page = async (query: any): Promise<any> => hub.ok('GET', path, { query });
      const all = (await page({ limit: 1000 }))[key].map((x: any) => x.id), seen: string[] = [];
      for (let cursor: string | undefined, next = true; next; next = cursor !== undefined) {
        const got = await page({ limit: Math.ceil(all.length / 4), cursor });
        seen.push(...got[key].map((x: any) => x.id));
        cursor = got.next;
      }
      assert.ok(all.length >= 4, key);
      assert.deepEqual(seen, all, key);
      await hub.refused(400, 'GET', path, { query: { cursor: 'AAAA' } as any });
    }
  });
});

describe('Travis CI', () => {
  const post = (payload: any, { signature, text = JSON.stringify(payload), extra = {} }: { signature?: string; text?: string; extra?: object } = {}): Promise<Reply> =>
    hub.raw('POST', '/v1/webhooks/travis', { body: new URLSearchParams({ other: 'x', payload: text }).toString(), key: null, headers: { 'content-type': 'application/x-www-form-urlencoded', signature: signature ?? travis.sign(text), ...extra } });

  test('the decoded payload is signed; a changed one, another form and a missing signature are refused', async () => {
    const reply = await post(build());
    assert.deepEqual([reply.status, reply.body.accepted], [202, true], JSON.stringify(reply.body));
    assert.equal((await worked(hub, reply)).verdict, 'tracked');
    assert.equal((await post(build())).body.duplicate, true);
    const signature = travis.sign(JSON.stringify(build()));
    assert.equal((await post(build({ branch: 'mein' }), { signature })).status, 401);
    for (const bad of ['', 'x', 'AAAA', `${signature}=`, 'A'.repeat(10_240), signature.replaceAll('=', '-')]) assert.ok([400, 401].includes((await post(build(), { signature: bad })).status), bad.slice(0, 20));
    assert.deepEqual(((r) => [r?.status, r?.conclusion, r?.commitMessage, r?.jobs[0]?.conclusion])(await theRun('40')), ['completed', 'success', 'Ça marche 🎉 +&%=', 'success']);
    assert.equal(travis.asked, 1, 'its key is asked for once, and again after a minute at the earliest');
  });

  test('states in any order, a restart, a tag, a pull request', async () => {
    const states = async (...list: object[]) => {
      for (const each of list) await worked(hub, await post(build({ id: 50, ...each })));
      return theRun('50');
    };
    assert.equal((await states({ state: 'passed' }, { state: 'started', status: null, finished_at: null }))?.conclusion, 'success', 'started comes late');
    assert.equal((await states({ state: 'started', started_at: '2026-11-25T12:00:00Z', finished_at: null }))?.status, 'in_progress', 'restarted');
    assert.equal((await states({ state: 'canceled', status: null, started_at: '2026-11-25T12:00:00Z', finished_at: '2026-11-25T12:00:09Z' }))?.conclusion, 'cancelled');
    await rule({ match: { repository, branch: 'main', workflow: 'Travis CI' }, service: 'by-travis', image: 'r.example.org/t:{number}', approval: 'required' });
    await states({ id: 51, tag: 'main', branch: 'main' }, { id: 52, pull_request: true, type: 'pull_request' });
    assert.deepEqual(await approvals('by-travis'), []);
    await states({ id: 53 });
    assert.deepEqual((await approvals('by-travis')).map((a) => [a.image, a.source, a.pipeline]), [['r.example.org/t:12', 'travis', 'Travis CI #12']]);
  });
});
