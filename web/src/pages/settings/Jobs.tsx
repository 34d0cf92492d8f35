import { Ban, ListChecks, RotateCw } from 'lucide-react';
import { useCallback, useState } from 'react';
import { hub } from '@/api/hub';
import type { Job, JobState, Schedule } from '@/api/types';
import { Ago } from '@/components/Ago';
import { Empty, Failed } from '@/components/States';
import { Status } from '@/components/Status';
import { Button } from '@/components/ui/button';
import { Card, CardHeader } from '@/components/ui/card';
import { Select } from '@/components/ui/field';
import { SkeletonRows } from '@/components/ui/skeleton';
import { Table, Td, Th, Tr } from '@/components/ui/table';
import { useAction } from '@/hooks/useAction';
import { useAgainWhile, useResource } from '@/hooks/useResource';
import { duration } from '@/lib/format';
import { useMay } from '@/state/session';

const STATES: JobState[] = ['waiting', 'running', 'done', 'failed', 'cancelled'];
const LOOKS: Record<JobState, string> = { waiting: 'initiated', running: 'deploying', done: 'success', failed: 'failed', cancelled: 'cancelled' };

function Act({ job, onDone }: { job: Job; onDone: () => void }) {
  const run = useCallback(async () => {
    await (job.retryable ? hub.retryJob(job.id) : hub.cancelJob(job.id));
    onDone();
    return job.retryable ? 'The job is run again.' : 'The job is being cancelled.';
  }, [job.id, job.retryable, onDone]);
  const { start, busy } = useAction(run);
  if (!job.retryable && !job.cancellable) return null;
  return <Button size="sm" busy={busy} aria-label={`${job.retryable ? 'Run again' : 'Cancel'}: ${job.title}`} onClick={() => void start()}>{job.retryable ? <><RotateCw aria-hidden />Run again</> : <><Ban aria-hidden />Cancel</>}</Button>;
}

const atOf = (job: Job) => job.endedAt ?? job.startedAt ?? job.createdAt;

function JobRow({ job, mayAct, onDone }: { job: Job; mayAct: boolean; onDone: () => void }) {
  return (
    <Tr>
      <Td><Status state={LOOKS[job.state]} label={job.state} /></Td>
      <Td><span className="font-medium">{job.title}</span>{job.reason && <span className="block text-xs text-muted">{job.reason}</span>}<span className="block text-xs text-muted sm:hidden"><Ago at={atOf(job)} /></span></Td>
      <Td className="text-right max-sm:hidden">{job.attempt}{job.maxAttempts ? ` of ${job.maxAttempts}` : ''}</Td>
      <Td className="text-xs text-muted max-sm:hidden"><Ago at={atOf(job)} /></Td>
      <Td className="text-right">{mayAct && <Act job={job} onDone={onDone} />}</Td>
    </Tr>
  );
}

const rhythm = (s: Schedule) => (s.cron ? `${s.cron} (${s.timeZone})` : `every ${duration((s.every ?? 0) * 1000)}`);

function Schedules() {
  const { data, error, reload } = useResource('schedules', (signal) => hub.schedules(signal));
  if (!error && !data?.length) return null;
  return (
    <Card aria-labelledby="t-schedules" className="mt-4">
      <CardHeader id="t-schedules" title="Schedules" />
      {!data ? error && <Failed error={error} retry={reload} what="The schedules" /> : (
        <Table>
          <thead><tr><Th>What</Th><Th>When</Th><Th>Next</Th><Th className="max-sm:hidden">Last</Th></tr></thead>
          <tbody>
            {data.map((s) => (
              <Tr key={s.name}><Td className="font-medium">{s.title}</Td><Td className="font-mono text-xs">{rhythm(s)}</Td><Td className="text-xs text-muted"><Ago at={s.nextAt} /></Td><Td className="text-xs text-muted max-sm:hidden">{s.lastAt ? <><Ago at={s.lastAt} />{s.lastState ? `, ${s.lastState}` : ''}</> : 'never'}</Td></Tr>
            ))}
          </tbody>
        </Table>
      )}
    </Card>
  );
}

/* Work that outlives a request. */
export function Jobs() {
  const [state, setState] = useState<JobState | undefined>();
  const jobs = useResource(`jobs/${state ?? ''}`, (signal) => hub.jobs(state, signal));
  const { data, error, reload } = jobs;
  useAgainWhile(data?.jobs.some((j) => j.state === 'running' || j.state === 'waiting') ?? false, jobs);
  const mayAct = useMay('operator');
  return (
    <>
      <Card aria-labelledby="t-jobs">
        <CardHeader
          id="t-jobs" title="Jobs" hint={data && STATES.filter((s) => data.counts[s] > 0).map((s) => `${data.counts[s]} ${s}`).join(', ')}
          actions={(
            <Select aria-label="State" value={state ?? ''} onChange={(e) => setState((e.target.value || undefined) as JobState | undefined)}>
              <option value="">all</option>{STATES.map((s) => <option key={s} value={s}>{s}</option>)}
            </Select>
          )}
        />
        {!data ? (error ? <Failed error={error} retry={reload} what="The jobs" /> : <SkeletonRows rows={3} />)
          : data.jobs.length === 0 ? <Empty icon={ListChecks} title="No job" />
          : (
            <Table>
              <thead><tr><Th>State</Th><Th>What</Th><Th className="text-right max-sm:hidden">Try</Th><Th className="max-sm:hidden">When</Th><Th><span className="sr-only">Action</span></Th></tr></thead>
              <tbody>{data.jobs.map((j) => <JobRow key={j.id} job={j} mayAct={mayAct} onDone={reload} />)}</tbody>
            </Table>
          )}
      </Card>
      <Schedules />
    </>
  );
}
