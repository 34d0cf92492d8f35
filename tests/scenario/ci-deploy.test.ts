// What CI tells deploys: by rule from a push to the registry or a successful run, seen as deployment events, told back.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { GithubApi } from '../support/ci-vendors.ts';
import { check, commit, completed, deliver, inProgress, job, repository, requested, secret, worked } from '../support/deliveries.ts';
import { engines } from '../support/parts/docker.ts';
import { Registry } from '../support/parts/registry.ts';
import { deployment, ended, service, text, useRig } from '../support/rig.ts';
import { waitFor } from '../support/wait.ts';

const flavour = engines[0]!;
const github = new GithubApi();
before(() => github.start());
after(() => github.stop());

describe(`CI on ${flavour.name}`, { skip: flavour.skip || Registry.skip }, () => {
  const env = () => ({ GITHUB_WEBHOOK_SECRET: secret, GITHUB_BASE_URL: github.url, GITHUB_TOKEN: GithubApi.token });
  const rig = useRig(flavour, () => ({ env: env() }));
  const take = async (event: string, payload: unknown): Promise<any> => worked(rig.hub, await deliver(rig.hub, event, payload));
  const rule = (body: any) => rig.hub.ok('POST', '/ci/rules', { body });
  const approvals = async (name: string) => (await rig.hub.ok('GET', '/ci/approvals', { query: { service: name } })).approvals;
  const told = () => [...github.statuses.values()].map((list) => list.map((s) => s.state));

  test('a successful run deploys its commit’s image; both are events; how it went is told to GitHub, late when it wants so', async () => {
    await rig.serve('shop', await rig.demo('v0'));
    const image = await rig.demo('1f0e3da');
    await rule({ match: { repository, branch: 'main' }, service: 'shop', image: image.replace('1f0e3da', '{shortCommit}') });
    github.next.push({ status: 429, body: { message: 'You have exceeded a secondary rate limit' }, headers: { 'retry-after': '2' } });
    await take('workflow_run', requested());
    const event = async () => (await rig.hub.ok('GET', '/deployments', { query: { trigger: 'github_actions' } })).deployments.find((d) => d.deployment.pipeline === 'ci #7' && d.deployment.initiatedBy === 'Dév Un')!;
    assert.deepEqual(((d) => [d.status.state, d.serviceName, d.git?.commit, d.git?.branch])(await event()), ['initiated', 'shop', commit, 'main']);
    await take('workflow_run', inProgress());
    await take('workflow_job', job('build', 9101));
    assert.deepEqual(((d) => [d.status.state, d.timing.phases])(await event()), ['building', [{ name: 'build', duration: 60_000, status: 'success' }]]);
    await take('workflow_run', completed());
    assert.deepEqual(((d) => [d.status.state, d.timing.duration])(await event()), ['completed', 180_000]);
    const asked = await waitFor(async () => (await approvals('shop')).find((a) => a.deploymentId), { what: 'the deployment by rule' });
    const end = await ended(rig.hub, asked.deploymentId!);
    assert.deepEqual([end.status.state, end.deployment.trigger, end.deployment.pipeline, end.git?.commitMessage], ['completed', 'github_actions', 'ci #7', 'Add the cart'], end.status.message);
    assert.equal(await text((await service(rig.hub, 'shop')).networking.url), '1f0e3da');
    await waitFor(() => told()[0]?.at(-1) === 'success', { what: 'the success at GitHub' });
    assert.deepEqual([github.deployments.length, github.deployments[0].ref, github.deployments[0].environment], [1, commit, 'production']);
    await take('workflow_run', inProgress({ run_attempt: 2 }));
    assert.deepEqual(((d) => [d.status.state, d.timing.completedAt, d.timing.duration])(await event()), ['building', undefined, undefined], 'run again, it has not ended');
    await take('workflow_run', completed({ updated_at: '2026-11-25T12:00:00Z' }));
    assert.equal((await approvals('shop')).length, 1, 'the same end once more deploys nothing');
  });

  test('gates hold back what CI asks for itself, and nobody else; a hub that dies while a run is under way leaves the event to it', async () => {
    await rig.serve('gated', await rig.demo('g0'));
    await rule({ match: { repository, branch: 'gated' }, service: 'gated', gates: [{ check: 'e2e' }] });
    await take('workflow_run', inProgress({ id: 700, head_branch: 'gated', run_number: 70 }));
    await rig.hub.kill9();
    await rig.hub.restart();
    const under = (await rig.hub.ok('GET', '/deployments', { query: { service_id: 'gated', trigger: 'github_actions' } })).deployments;
    assert.deepEqual(under.map((d) => d.status.state), ['building']);
    const image = await rig.demo('g1'), params = { serviceId: 'gated' };
    const git = { repository, branch: 'gated', commit, commitMessage: '', author: '' };
    const refused = async (origin: object) => (await rig.hub.refused(409, 'PATCH', '/services/{serviceId}', { params, body: { container: { image }, trigger: 'github_actions', ...origin } })).error.message;
    assert.match(await refused({}), /names none/);
    assert.match(await refused({ git }), /check e2e: unknown/);
    await take('check_run', check('e2e', 'failure', { id: 1 }));
    assert.match(await refused({ git }), /check e2e: failure/);
    await take('check_run', check('e2e', 'success', { id: 2 }));
    assert.equal((await rig.update('gated', { container: { image }, trigger: 'github_actions', git })).status.state, 'completed');
    await rig.hub.refused(409, 'POST', '/deployments/{deploymentId}/cancel', { params: { deploymentId: under[0]!.id } });
    await take('workflow_run', completed({ id: 700, head_branch: 'gated', run_number: 70, conclusion: 'cancelled' }));
    assert.equal((await deployment(rig.hub, under[0]!.id)).status.state, 'cancelled');
  });

  for (const [i, point] of ['keep:after', 'facts:before', 'facts:after', 'ask:before', 'ask:after'].entries()) {
    test(`a hub that dies at ${point} deploys what it was told, once`, async () => {
      const name = `once-${i}`, branch = name;
      await rig.serve(name, await rig.demo('k0'));
      await rule({ match: { repository, branch }, service: name, image: (await rig.demo('k1')).replace(/k1$/, 'k{number}') });
      await rig.hub.stop();
      await rig.hub.restart({ env: { ...env(), HBCLOUD_FAILPOINT: `ci:${point}` } });
      await deliver(rig.hub, 'workflow_run', completed({ id: 900 + i, head_branch: branch, run_number: 1 })).catch(() => undefined);
      await waitFor(() => !rig.hub.running, { what: `the death at ${point}` });
      await rig.hub.restart({ env: env() });
      const id = await waitFor(async () => (await approvals(name))[0]?.deploymentId, { what: 'the deployment' });
      assert.equal((await ended(rig.hub, id)).status.state, 'completed');
      const all = (await rig.hub.ok('GET', '/deployments', { query: { service_id: name, trigger: 'github_actions' } })).deployments;
      assert.deepEqual(all.map((d) => [d.status.state, d.deployment.initiatedBy.startsWith('rule ')]), [['completed', true], ['completed', false]]);
    });
  }

  test('an approval, then the deployment; a rule for another environment deploys nothing', async () => {
    await rig.serve('asked', await rig.demo('a0'), { environment: 'staging' });
    const image = (await rig.demo('a1')).replace(/a1$/, '');
    const form = { match: { repository, branch: 'asked' }, service: 'asked', image: `${image}a{number}` };
    const { rule: wrong } = await rule(form);
    await take('workflow_run', completed({ id: 801, head_branch: 'asked', run_number: 1 }));
    const end = await waitFor(async () => (await approvals('asked')).find((a) => a.state === 'refused'), { what: 'the refusal' });
    assert.match(end.reason!, /belongs to staging, and the rule is for production/);
    await rig.hub.ok('DELETE', '/ci/rules/{ruleId}', { params: { ruleId: wrong.id } });
    await rule({ ...form, environment: 'staging', approval: 'required' });
    await take('workflow_run', completed({ id: 802, head_branch: 'asked', run_number: 1, created_at: '2026-11-25T13:00:00Z' }));
    const approvalId = (await approvals('asked'))[0]!.id;
    await rig.hub.ok('POST', '/ci/approvals/{approvalId}/approve', { params: { approvalId } });
    const id = await waitFor(async () => (await approvals('asked'))[0]!.deploymentId, { what: 'the deployment after the approval' });
    assert.equal((await ended(rig.hub, id)).status.state, 'completed');
    assert.equal(await text((await service(rig.hub, 'asked')).networking.url), 'a1');
  });
});
