// Volumes belong to services: listed with who uses them, never removed from under one, and removed only after a snapshot that is
// whole. Removal and snapshots are jobs, with the events, tries and reasons of jobs.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, test } from 'node:test';
import type { components } from '../support/api.d.ts';
import { cli } from '../support/hub.ts';
import { shellImage, stay } from '../support/images.ts';
import { dockerOld } from '../support/parts/docker.ts';
import { Registry } from '../support/parts/registry.ts';
import { useRig } from '../support/rig.ts';
import { waitFor } from '../support/wait.ts';

type Job = components['schemas']['Job'];
const healthCheck = { command: ['/bin/true'], interval: 1, retries: 1, startPeriod: 0 };

describe('volumes', { skip: dockerOld.skip || Registry.skip }, () => {
  const rig = useRig(dockerOld, { args: ['--set', 'snapshots.limit=8MiB'] });

  /** A service whose container wrote `script`'s files into the volume. */
  async function keeper(name: string, script: string): Promise<void> {
    const image = await rig.push(name, '1', shellImage(`${script}; touch /keep/ready; ${stay}`));
    await rig.serve(name, image, { container: { image, volumes: [{ source: `${name}-data`, target: '/keep' }] }, networking: { internalPort: 1, healthCheck: { ...healthCheck, command: ['/bin/sh', '-c', 'test -e /keep/ready'] } } });
  }

  const volume = async (name: string) => (await rig.hub.ok('GET', '/volumes')).volumes.find((v) => v.name === name);
  const there = async (name: string): Promise<boolean> => (await rig.engine.request('GET', `/volumes/${name}`)).status === 200;
  const snapshots = async (name: string) => (await rig.hub.ok('GET', '/snapshots', { query: { volume: name } })).snapshots;
  const remove = async (name: string, query: object = {}): Promise<Job> => (await rig.hub.ok('DELETE', '/volumes/{volumeName}', { params: { volumeName: name }, query: { confirm: name, ...query } })).job;

  function end(jobId: string): Promise<Job> {
    return waitFor(async () => {
      const { job } = await rig.hub.ok('GET', '/jobs/{jobId}', { params: { jobId } });
      return job.endedAt !== null && job;
    }, { what: `the end of job ${jobId}` });
  }

  /** The files of a snapshot, as its owner would unpack them. */
  function unpack(file: string): string {
    const dir = mkdtempSync(join(tmpdir(), 'hbcloud-unpacked-'));
    const unpacked = spawnSync('sh', ['-c', 'zstd -dcq "$1" | tar -xf - -C "$2"', 'sh', file, dir], { encoding: 'utf8' });
    assert.equal(unpacked.status, 0, unpacked.stderr);
    return dir;
  }

  test('a volume says whose it is and who uses it, and is not removed from under a service, running or stopped', async () => {
    await keeper('held', 'echo one >/keep/file');
    const listed = await volume('held-data');
    assert.deepEqual([listed?.service, listed?.inUse, listed?.usedBy], ['held', true, [{ service: 'held', running: true }]]);
    await rig.hub.refused(409, 'DELETE', '/volumes/{volumeName}', { params: { volumeName: 'held-data' }, query: { confirm: 'held-data' } });
    await rig.hub.ok('POST', '/services/{serviceId}/stop', { params: { serviceId: 'held' } });
    await rig.hub.refused(409, 'DELETE', '/volumes/{volumeName}', { params: { volumeName: 'held-data' }, query: { confirm: 'held-data' } });
    assert.ok(await there('held-data'));
    await rig.remove('held');
    assert.ok(await there('held-data'), 'a service that goes leaves its volumes');
    assert.deepEqual((await volume('held-data'))?.usedBy, []);
    await rig.hub.refused(400, 'DELETE', '/volumes/{volumeName}', { params: { volumeName: 'held-data' }, query: { confirm: 'held' } });
    await rig.hub.refused(404, 'DELETE', '/volumes/{volumeName}', { params: { volumeName: 'nobodys' }, query: { confirm: 'nobodys' } });
  });

  test('removal leaves a snapshot from which every file comes back, and no container of its own', async () => {
    await keeper('precious', 'mkdir -p "/keep/a b/c"; printf "caf\\303\\251\\n" >"/keep/a b/c/text"; head -c 300000 /dev/urandom >/keep/bytes; ln -s bytes /keep/link; chmod 600 /keep/bytes; cp /keep/bytes /keep/again');
    await rig.remove('precious');
    const events = await rig.events();
    const done = await end((await remove('precious-data')).id);
    assert.deepEqual([done.state, done.reason, await there('precious-data')], ['done', null, false]);
    await events.until((e) => e.type === 'snapshot.created' && e.data.data?.volume === 'precious-data');
    await events.until((e) => e.type === 'volume.deleted' && e.data.entityId === 'precious-data');
    events.close();
    const [kept, ...more] = await snapshots('precious-data');
    assert.deepEqual([more.length, kept!.reason, kept!.id], [0, 'removal', done.id]);
    assert.equal(createHash('sha256').update(readFileSync(kept!.file)).digest('hex'), kept!.sha256);
    assert.deepEqual([statSync(kept!.file).size, statSync(kept!.file).mode & 0o777], [kept!.bytes, 0o600]);
    const dir = unpack(kept!.file);
    const [top] = readdirSync(dir);
    assert.equal(readFileSync(join(dir, top!, 'a b/c/text'), 'utf8'), 'café\n');
    assert.ok(readFileSync(join(dir, top!, 'bytes')).equals(readFileSync(join(dir, top!, 'again'))));
    assert.ok(readFileSync(join(dir, top!, 'link')).equals(readFileSync(join(dir, top!, 'bytes'))));
    rmSync(dir, { recursive: true });
    assert.deepEqual((await rig.engine.containers()).filter((c) => c.Labels['hbcloud.helper']), []);
    assert.deepEqual((await rig.hub.ok('GET', '/services', { query: { q: 'hbcloud-snapshot' } })).services, [], 'the helper was never a service');
  });

  test('a volume whose snapshot has no room stays; the job says why, and can be tried again', async () => {
    await keeper('large', 'head -c 12000000 /dev/urandom >/keep/bytes');
    await rig.remove('large');
    const failed = await end((await remove('large-data')).id);
    assert.equal(failed.state, 'failed');
    assert.match(failed.reason!, /snapshots\.limit/);
    assert.ok(await there('large-data'));
    assert.deepEqual(readdirSync(join(rig.hub.dataDir, 'snapshots')).filter((f) => f.includes(failed.id)), []);
    const { job } = await rig.hub.ok('POST', '/jobs/{jobId}/retry', { params: { jobId: failed.id } });
    assert.equal(job.reason, null);
    const again = await end(failed.id);
    assert.deepEqual([again.state, again.attempt], ['failed', failed.attempt + 1]);
    assert.equal((await end((await remove('large-data', { snapshot: false })).id)).state, 'done');
    assert.deepEqual([await there('large-data'), await snapshots('large-data')], [false, []]);
  });

  test('a service that goes with its volume leaves a snapshot of it', async () => {
    await keeper('whole', 'echo all >/keep/file');
    await rig.remove('whole', ['whole-data']);
    await waitFor(async () => !(await there('whole-data')), { what: 'the removal of the volume' });
    const [kept] = await snapshots('whole-data');
    assert.deepEqual([kept!.service, kept!.reason, kept!.inUse], ['whole', 'removal', false]);
  });

  test('a hub that is killed while it takes a snapshot takes it again, once, and then removes', async () => {
    await keeper('hurt', 'head -c 3000000 /dev/urandom >/keep/bytes');
    await rig.remove('hurt');
    const events = await rig.events();
    const { id } = await remove('hurt-data');
    await events.until((e) => e.type === 'job.updated' && e.data.entityId === id && e.data.data.state === 'running');
    await rig.hub.kill9();
    events.close();
    await rig.hub.restart();
    const done = await end(id);
    assert.deepEqual([done.state, done.attempt, await there('hurt-data')], ['done', 2, false], String(done.reason));
    assert.equal((await snapshots('hurt-data')).length, 1);
    assert.deepEqual(readdirSync(join(rig.hub.dataDir, 'snapshots')).filter((f) => f.endsWith('.part')), []);
    assert.deepEqual((await rig.engine.containers()).filter((c) => c.Labels['hbcloud.helper']), []);
  });

  test('a removal that is tried again takes its snapshot anew: the volume may have been written since', async () => {
    await keeper('stale', 'echo new >/keep/file');
    await rig.remove('stale');
    const { nodeId } = (await volume('stale-data'))!;
    const id = randomUUID(), now = Date.now();
    await rig.hub.kill9();
    const db = new DatabaseSync(join(rig.hub.dataDir, 'hub.db'));
    const args = JSON.stringify({ nodeId, volume: 'stale-data', snapshot: true, by: 'test' });
    db.prepare("INSERT INTO jobs (id, kind, arguments, state, attempt, next_run_at, deadline_at, created_at, updated_at) VALUES (?, 'remove-volume', ?, 'failed', 1, ?, ?, ?, ?)").run(id, args, now, now + 600_000, now, now);
    db.prepare("INSERT INTO volume_snapshots (id, volume, node_id, bytes, raw_bytes, sha256, in_use, for_removal, created_by, created_at) VALUES (?, 'stale-data', ?, 1, 1, ?, 0, 1, 'test', ?)").run(id, nodeId, '0'.repeat(64), now);
    db.close();
    await rig.hub.restart();
    await rig.hub.ok('POST', '/jobs/{jobId}/retry', { params: { jobId: id } });
    assert.equal((await end(id)).state, 'done');
    const [kept, ...more] = await snapshots('stale-data');
    assert.deepEqual([more.length, await there('stale-data')], [0, false]);
    assert.equal(createHash('sha256').update(readFileSync(kept!.file)).digest('hex'), kept!.sha256);
  });

  test('networks are listed, and go only when nobody is in them', async () => {
    await rig.engine.call('POST', '/networks/create', { Name: 'quiet-net', Labels: { 'hbcloud.service': 'quiet' } });
    const image = await rig.demo('net');
    const id = await rig.engine.run(image, { HostConfig: { NetworkMode: 'quiet-net' } }).catch(async () => {
      await rig.serve('puller', image);
      return rig.engine.run(image, { HostConfig: { NetworkMode: 'quiet-net' } });
    });
    const named = async () => (await rig.hub.ok('GET', '/networks')).networks.find((n) => n.name === 'quiet-net');
    assert.deepEqual([(await named())?.service, (await named())?.driver], ['quiet', 'bridge']);
    const remove = (name: string) => rig.hub.raw('DELETE', `/v1/networks/${name}`);
    assert.equal((await remove('quiet-net')).status, 409);
    await rig.engine.call('DELETE', `/containers/${id}?force=true`);
    assert.deepEqual([(await remove('quiet-net')).status, await named(), (await remove('quiet-net')).status], [204, undefined, 204]);
    assert.equal((await remove('bridge')).status, 409);
  });

  test('the command line lists, snapshots and removes, and ends 1 with the reason', async () => {
    await keeper('shell', 'echo hi >/keep/file');
    const run = (...args: string[]) => cli(args, { hub: rig.hub });
    assert.match((await run('volumes', 'list')).stdout, /shell-data +\S+ +shell +shell/);
    assert.equal((await run('volumes', 'snapshot', 'shell-data')).code, 0);
    const refused = await run('volumes', 'remove', 'shell-data', '--yes');
    assert.deepEqual([refused.code, /used by the service shell/.test(refused.stderr)], [1, true], refused.stderr);
    await rig.remove('shell');
    const removed = await run('volumes', 'remove', 'shell-data', '--yes', '--no-snapshot');
    assert.deepEqual([removed.code, removed.stdout], [0, 'shell-data is removed.\n'], removed.stderr);
    const listed = await run('volumes', 'snapshots', '--volume', 'shell-data');
    assert.match(listed.stdout, /shell-data .*request/);
    const [kept] = await snapshots('shell-data');
    assert.equal(kept!.inUse, true);
    await rig.hub.ok('DELETE', '/snapshots/{snapshotId}', { params: { snapshotId: kept!.id } });
    assert.throws(() => statSync(kept!.file));
  });

  test('a node whose engine is away is named, not silently left out', async () => {
    await rig.engine.pause();
    try {
      const { volumes, unreachable } = await rig.hub.ok('GET', '/volumes', { timeout: 30_000 });
      assert.deepEqual([volumes, unreachable.length], [[], 1]);
    } finally {
      await rig.engine.resume();
    }
    await waitFor(async () => (await rig.hub.ok('GET', '/volumes')).unreachable.length === 0, { timeout: 30_000 });
  });
});
