// CI's own call: one step deploys, waits, says what happens in its log and ends with the right status; done twice it deploys once.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { cli, type CliResult } from '../support/hub.ts';
import { dockerOld } from '../support/parts/docker.ts';
import { Registry } from '../support/parts/registry.ts';
import { service, text, useRig } from '../support/rig.ts';
import { waitFor } from '../support/wait.ts';

describe('CI call', { skip: dockerOld.skip || Registry.skip }, () => {
  const rig = useRig(dockerOld);
  const github = { GITHUB_ACTIONS: 'true', GITHUB_REPOSITORY: 'me/app', GITHUB_SHA: 'a'.repeat(40), GITHUB_REF_NAME: 'main', GITHUB_WORKFLOW: 'Deploy', GITHUB_RUN_ID: '4711', GITHUB_RUN_ATTEMPT: '1', GITHUB_ACTOR: 'octocat' };
  const deploy = (args: string[], env: Record<string, string> = github): Promise<CliResult> => cli(['services', 'deploy', ...args], { hub: rig.hub, env });
  const deployments = async (name: string) => (await rig.hub.ok('GET', '/deployments', { query: { service_id: name } })).deployments;

  test('a workflow deploys with its git metadata, tells its steps, and twice is once; another attempt is another', async () => {
    const image = await rig.demo('one');
    const args = ['app', '--image', image, '--port', '8080'];
    const first = await deploy(args);
    assert.deepEqual([first.code, /✓ switch|ok switch/.test(first.stderr), /app serves at http/.test(first.stdout)], [0, true, true], first.stderr);
    assert.ok(![first.stdout, first.stderr].some((out) => out.includes('\x1b')), 'a log has no escapes');
    const [event] = await deployments('app');
    assert.deepEqual(event!.deployment, { trigger: 'github_actions', pipeline: 'Deploy', initiatedBy: 'octocat', environment: 'production', release: 1 });
    assert.deepEqual(event!.git, { repository: 'me/app', branch: 'main', commit: 'a'.repeat(40), commitMessage: '', author: '' });
    assert.equal((await deploy(args)).code, 0);
    assert.equal((await deployments('app')).length, 1, 'the same run deploys once');
    assert.equal((await deploy(args, { ...github, GITHUB_RUN_ATTEMPT: '2' })).code, 0);
    assert.equal((await deployments('app')).length, 2);
  });

  test('a change of an existing service needs the image alone; twice at once is once', async () => {
    const args = ['app', '--image', await rig.demo('two')];
    const runs = await Promise.all([deploy(args), deploy(args)]);
    assert.deepEqual(runs.map((r) => r.code), [0, 0], runs.map((r) => r.stderr).join('\n'));
    assert.equal((await deployments('app')).length, 3);
    assert.equal(await text((await service(rig.hub, 'app')).networking.url), 'two');
  });

  test('one that fails ends 1, with the cause and its log in the step, and an annotation', async () => {
    const run = await deploy(['app', '--image', `${rig.registry.address}/demo:missing`]);
    assert.equal(run.code, 1);
    assert.match(run.stderr, /the deployment of app failed: The image .*missing cannot be pulled/);
    assert.match(run.stderr, /^::error title=hbcloud::/m);
    assert.match(run.stderr, /failed at pull/);
    const before = (await deployments('app')).length;
    await rig.demo('missing');
    assert.equal((await deploy(['app', '--image', `${rig.registry.address}/demo:missing`])).code, 0, 'a job that is restarted under the same number tries anew');
    assert.equal((await deploy(['app', '--image', `${rig.registry.address}/demo:missing`])).code, 0);
    assert.equal((await deployments('app')).length, before + 1);
    assert.equal((await rig.update('app', { container: { image: await rig.demo('two') } })).status.state, 'completed');
    assert.equal(await text((await service(rig.hub, 'app')).networking.url), 'two');
  });

  test('Travis is known by its variables; a time that runs out ends 5 and the deployment goes on', async () => {
    const travis = { TRAVIS: 'true', TRAVIS_REPO_SLUG: 'me/app', TRAVIS_COMMIT: 'b'.repeat(40), TRAVIS_BRANCH: 'dev', TRAVIS_BUILD_ID: '9', TRAVIS_JOB_ID: '10', TRAVIS_JOB_NAME: 'ship' };
    const run = await deploy(['app', '--image', await rig.demo('three'), '-e', 'START_DELAY_MS=3000', '--timeout', '1s'], travis);
    assert.equal(run.code, 5, run.stderr);
    assert.equal((await deployments('app'))[0]!.deployment.trigger, 'travis_ci');
    const health = await cli(['health-check', 'app', '--wait', '--timeout', '30s'], { hub: rig.hub });
    assert.deepEqual([health.code, health.stdout], [0, 'app is healthy.\n'], health.stderr);
    assert.equal(await text((await service(rig.hub, 'app')).networking.url), 'three');
  });

  test('health-check tells by its exit status; plan, scale, releases, rollback and cancel have their commands', async () => {
    const run = (...args: string[]): Promise<CliResult> => cli(args, { hub: rig.hub });
    assert.equal((await run('health-check', 'nobody')).code, 1);
    const plan = await run('services', 'plan', 'app', '-e', 'A=b');
    assert.deepEqual([plan.code, /\+ container\.environment\.A: \*{8}/.test(plan.stdout), /nothing is done yet/.test(plan.stdout)], [0, true, true], plan.stdout + plan.stderr);
    assert.equal((await run('services', 'scale', 'app', '2')).stdout, 'app has as many instances as wanted.\n');
    assert.match((await run('services', 'releases', 'app')).stdout, /now/);
    const two = (await rig.hub.ok('GET', '/services/{serviceId}/releases', { params: { serviceId: 'app' } })).releases.find((r) => r.version === 'two' && r.servedAt)!;
    const back = await run('services', 'rollback', 'app', '--release', String(two.number));
    assert.deepEqual([back.code, back.stdout], [0, 'app runs the earlier release again.\n'], back.stderr);
    assert.equal(await text((await service(rig.hub, 'app')).networking.url), 'two');
    const slow = await run('services', 'deploy', 'app', '--image', await rig.demo('slow'), '-e', 'START_DELAY_MS=5000', '--no-wait');
    const id = slow.stdout.trim();
    await waitFor(async () => (await deployments('app'))[0]!.status.step === 'check');
    assert.match((await run('deployments', 'cancel', id)).stdout, /being undone/);
    assert.equal((await run('deployments', 'watch', id)).code, 1);
    await run('services', 'stop', 'app');
    const ill = await run('health-check', 'app');
    assert.deepEqual([ill.code, /it is stopped/.test(ill.stderr)], [1, true], ill.stderr);
    assert.equal((await run('health-check', 'app', '--wait', '--timeout', '1s')).code, 5);
  });
});
