// O09, O37: jobs outlive the hub. What a killed hub was in the middle of goes on in the next, what was missed is caught up once,
// and all of it is to be seen and steered by API, events and command line. Rows are written while the hub is down.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test, type TestContext } from 'node:test';
import type { components } from '../support/api.d.ts';
import { cli, startHub, type Hub } from '../support/hub.ts';
import { waitFor } from '../support/wait.ts';

type Job = components['schemas']['Job'];

/** What the database of a hub that is down holds. */
function database<T>(hub: Hub, use: (db: DatabaseSync) => T): T {
  const db = new DatabaseSync(join(hub.dataDir, 'hub.db'));
  try {
    return use(db);
  } finally {
    db.close();
  }
}

const day = 86_400_000;
interface Row {
  kind: string;
  state?: string;
  args?: object;
  attempt?: number;
  nextRun?: number;
}

/** Jobs as a hub leaves them that was killed: the lease still holds for a long time. */
function leave(hub: Hub, rows: Row[]): string[] {
  return database(hub, (db) =>
    rows.map(({ kind, state = 'waiting', args = {}, attempt = 0, nextRun = 0 }) => {
      const id = randomUUID();
      const running = state === 'running';
      db.prepare('INSERT INTO jobs (id, kind, arguments, state, lease_owner, lease_expires_at, attempt, fence, next_run_at, deadline_at, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)').run(
        id, kind, JSON.stringify(args), state, running ? 'dead' : null, running ? Date.now() + day : null, attempt, attempt, nextRun, Date.now() + day, Date.now(), Date.now(),
      );
      return id;
    }),
  );
}

async function down(t: TestContext): Promise<Hub> {
  const hub = await startHub(t);
  await hub.kill9();
  return hub;
}

const job = async (hub: Hub, jobId: string): Promise<Job> => (await hub.ok('GET', '/jobs/{jobId}', { params: { jobId } })).job;
const inState = (hub: Hub, id: string, state: string): Promise<Job> =>
  waitFor(async () => {
    const now = await job(hub, id);
    return now.state === state && now;
  }, { what: `job ${id} being ${state}` });

test('O09: a job that a killed hub worked on is run again at once, and the queue behind it moves', async (t) => {
  const hub = await down(t);
  const [held, next, strange] = leave(hub, [{ kind: 'forget-ended-jobs', state: 'running', attempt: 1 }, { kind: 'forget-ended-jobs' }, { kind: 'from-the-future' }]);
  const began = Date.now();
  await hub.restart();
  const again = await inState(hub, held!, 'done');
  assert.equal(again.attempt, 2);
  await inState(hub, next!, 'done');
  assert.ok(Date.now() - began < 10_000);
  assert.match((await inState(hub, strange!, 'failed')).reason!, /from-the-future/);
  const { jobs, counts } = await hub.ok('GET', '/jobs', { query: { state: 'failed', kind: 'from-the-future' } });
  assert.deepEqual([jobs.map((j) => j.id), counts.failed, counts.done], [[strange], 1, 0]);
});

test('O37: what was missed while the hub was down is caught up by one run', async (t) => {
  const hub = await down(t);
  database(hub, (db) => db.prepare('UPDATE job_schedules SET next_at = ?').run(Date.now() - 30 * day));
  await hub.restart();
  const { schedules } = await waitFor(async () => {
    const reply = await hub.ok('GET', '/schedules');
    return reply.schedules.every((s) => s.lastState === 'done') && reply;
  });
  const { jobs } = await hub.ok('GET', '/jobs', { query: { kind: 'forget-ended-jobs' } });
  assert.deepEqual(jobs.map((j) => j.schedule), ['forget-ended-jobs']);
  assert.ok(Date.parse(schedules.find((s) => s.name === 'forget-ended-jobs')!.nextAt) > Date.now());
});

test('jobs are listed page by page, cancelled and tried again by an operator, live, and show no secret', async (t) => {
  const hub = await down(t);
  const later = Date.now() + day;
  const ids = leave(hub, Array.from({ length: 5 }, (_, i) => ({ kind: 'remove-volume', nextRun: later, args: { volume: `v${i}`, apiToken: 'c4n4ry-token', nodeId: 'x', nested: { a: 1 } } })));
  await hub.restart();
  const first = await hub.ok('GET', '/jobs', { query: { kind: 'remove-volume', limit: 3 } });
  const second = await hub.ok('GET', '/jobs', { query: { kind: 'remove-volume', limit: 3, cursor: first.next } });
  assert.deepEqual([...first.jobs, ...second.jobs].map((j) => j.id).sort(), ids.sort());
  assert.deepEqual([first.jobs.length, second.next, first.counts.waiting], [3, undefined, 5]);
  assert.deepEqual(first.jobs[0]!.arguments.apiToken, '********');

  const events = await hub.events();
  const jobId = ids[0]!;
  const viewer = await hub.ok('POST', '/keys', { body: { name: 'reader', role: 'viewer' } });
  assert.equal((await hub.raw('POST', `/v1/jobs/${jobId}/cancel`, { key: viewer.secret })).status, 403);
  const { job: cancelled } = await hub.ok('POST', '/jobs/{jobId}/cancel', { params: { jobId } });
  assert.deepEqual([cancelled.state, cancelled.cancellable, cancelled.retryable], ['cancelled', false, true]);
  await events.until((e) => e.type === 'job.updated' && e.data.data.state === 'cancelled' && e.data.entityId === jobId);
  await hub.refused(409, 'POST', '/jobs/{jobId}/cancel', { params: { jobId } });
  // A worker may have taken it before the answer was put together.
  assert.match((await hub.ok('POST', '/jobs/{jobId}/retry', { params: { jobId } })).job.state, /^(waiting|running)$/);
  const failed = await inState(hub, jobId, 'failed');
  await events.until((e) => e.type === 'job.updated' && e.data.data.state === 'failed');
  events.close();
  assert.ok(!JSON.stringify(events.seen.map((e) => e.data)).includes('c4n4ry'));
  await hub.refused(404, 'POST', '/jobs/{jobId}/retry', { params: { jobId: randomUUID() } });

  const run = (...args: string[]) => cli(args, { hub });
  assert.match((await run('jobs', 'list', '--state', 'failed')).stdout, new RegExp(`${jobId} +Remove a volume +failed`));
  assert.ok((await run('jobs', 'show', jobId)).stdout.includes(failed.reason!.slice(0, 20)));
  assert.equal((await run('jobs', 'cancel', ids[1]!)).code, 0);
  assert.equal((await run('jobs', 'cancel', ids[1]!)).code, 1);
  assert.match((await run('jobs', 'schedules')).stdout, /forget-ended-jobs +23 \* \* \* \* +UTC/);
});
