import { CircleX, Rocket } from 'lucide-react';
import { useMemo } from 'react';
import { Link, useParams } from 'react-router';
import type { Deployment } from '@/api/types';
import { Ago } from '@/components/Ago';
import { CancelDeployment } from '@/components/CancelDeployment';
import { DeployedService } from '@/components/DeployedService';
import { isOver } from '@/components/DeploymentRow';
import { Facts } from '@/components/Facts';
import { LogLines } from '@/components/LogLines';
import { PageHeader } from '@/components/PageHeader';
import { Phases } from '@/components/Phases';
import { Progress } from '@/components/Progress';
import { Failed } from '@/components/States';
import { Status } from '@/components/Status';
import { SwitchReceipt } from '@/components/SwitchReceipt';
import { Button } from '@/components/ui/button';
import { Card, CardHeader } from '@/components/ui/card';
import { SkeletonRows } from '@/components/ui/skeleton';
import { Table, Td, Th, Tr } from '@/components/ui/table';
import { useEntity } from '@/hooks/useEntity';
import { useNow } from '@/hooks/useNow';
import { useSystem } from '@/hooks/useSystem';
import { clock, stamped } from '@/lib/logs';
import { useMay } from '@/state/session';
import { dateTime, duration, NOTHING, words } from '@/lib/format';

const PARENT = { to: '/deployments', label: 'Deployments' };

const changeOf = (d: Deployment) => (d.changes.type === 'create' ? 'new service' : words(d.changes.type));

function Elapsed({ deployment: d }: { deployment: Deployment }) {
  const now = useNow();
  return <>{duration(d.timing.duration ?? Math.max(0, Math.floor((now - Date.parse(d.timing.startedAt)) / 1000) * 1000))}</>;
}

function StateCard({ deployment: d }: { deployment: Deployment }) {
  const { state, progress, message } = d.status;
  const bad = ['failed', 'rolled_back', 'cancelled', 'superseded'].includes(state);
  return (
    <Card aria-labelledby="t-state">
      <CardHeader id="t-state" title="State" actions={<span className="text-xs text-muted"><Elapsed deployment={d} /></span>} />
      <div className="space-y-3 px-4 py-3">
        <div className="flex flex-wrap items-center gap-3">
          <Status state={state} label={state} testId="deployment-status" live />
          {!bad && <span className="font-medium">{Math.round(progress)}%</span>}
          {!bad && message && <span className="min-w-0 flex-1 text-muted">{message}</span>}
        </div>
        <Progress value={progress} label="Progress" tone={bad ? 'bad' : state === 'completed' ? 'ok' : 'accent'} />
        {bad && message && (
          <p role="alert" className="flex gap-2 rounded-md bg-bad-soft px-3 py-2 text-bad"><CircleX aria-hidden className="mt-0.5 size-4 shrink-0" />{message}</p>
        )}
      </div>
      <div className="border-t border-line"><Phases deployment={d} /></div>
    </Card>
  );
}

function Changes({ deployment: d }: { deployment: Deployment }) {
  const { changes: c } = d;
  return (
    <Card aria-labelledby="t-changes">
      <CardHeader id="t-changes" title="Changes" hint={changeOf(d)} />
      <Facts facts={[
        ['Version', c.fromVersion ? `${c.fromVersion} → ${c.toVersion ?? 'none'}` : c.toVersion],
        ...(c.imageChanges ? [['Image', <span key="i" className="font-mono text-xs">{c.imageChanges.oldImage ? `${c.imageChanges.oldImage} → ` : ''}{c.imageChanges.newImage}</span>] as [string, React.ReactNode]] : []),
        ...(c.imageChanges ? [['Registry', c.imageChanges.registry] as [string, React.ReactNode]] : []),
      ]} />
      {c.configChanges.length > 0 && (
        <Table>
          <thead><tr><Th>Setting</Th><Th>Before</Th><Th>After</Th><Th>From</Th></tr></thead>
          <tbody>
            {c.configChanges.map((x) => (
              <Tr key={x.key}><Td className="font-mono text-xs">{x.key}</Td><Td className="font-mono text-xs text-muted">{x.oldValue ?? NOTHING}</Td><Td className="font-mono text-xs">{x.newValue ?? 'removed'}</Td><Td className="text-xs text-muted">{words(x.source)}</Td></Tr>
            ))}
          </tbody>
        </Table>
      )}
    </Card>
  );
}

function Origin({ deployment: d }: { deployment: Deployment }) {
  return (
    <Card aria-labelledby="t-origin">
      <CardHeader id="t-origin" title="Origin" />
      <Facts facts={[
        ['Started', <span key="s">{dateTime(d.timing.startedAt)}</span>],
        ['Ended', d.timing.completedAt && dateTime(d.timing.completedAt)],
        ['By', d.deployment.initiatedBy],
        ['Trigger', words(d.deployment.trigger)],
        ['Pipeline', d.deployment.pipeline],
        ['Stage', d.deployment.environment],
        ['Seen healthy', isOver(d) && (d.monitoring.postDeploy.healthVerification ? 'yes' : 'no')],
        ...(d.git ? [['Commit', <span key="c" className="font-mono text-xs">{d.git.commit.slice(0, 12)} ({d.git.branch})</span>] as [string, React.ReactNode]] : []),
      ]} />
    </Card>
  );
}

export default function DeploymentDetail() {
  const { id = '' } = useParams();
  const { item: d, error, reload } = useEntity('deployment', id);
  const { data: system } = useSystem();
  const mayAct = useMay('operator');
  const logs = d?.status.logs;
  const lines = useMemo(() => (logs ?? []).map((raw, key) => {
    const { time, text } = stamped(raw);
    return { key, text, ...(time && { note: clock(time) }) };
  }), [logs]);
  if (!d) return <><PageHeader title="Deployment" parent={PARENT} />{error ? <Failed error={error} retry={reload} what="This deployment" /> : <SkeletonRows rows={6} />}</>;
  return (
    <>
      <PageHeader
        title={`${d.serviceName}${d.changes.toVersion ? ` ${d.changes.toVersion}` : ''}`} parent={PARENT}
        hint={<>{changeOf(d)} by {d.deployment.initiatedBy}, <Ago at={d.timing.startedAt} /></>}
        actions={<>{mayAct && <CancelDeployment deployment={d} />}<Button asChild><Link to="/services/new"><Rocket aria-hidden />Deploy another</Link></Button></>}
      />
      <div className="grid items-start gap-4 lg:grid-cols-[minmax(0,1fr)_320px]">
        <div className="min-w-0 space-y-4">
          <StateCard deployment={d} />
          {d.receipt && <SwitchReceipt receipt={d.receipt} />}
          <Card aria-labelledby="t-log" className="overflow-hidden">
            <CardHeader id="t-log" title="Log" />
            <LogLines lines={lines} label="Log of the deployment" empty="Nothing has been logged yet." />
          </Card>
          <Changes deployment={d} />
        </div>
        <div className="space-y-4"><DeployedService deployment={d} system={system} /><Origin deployment={d} /></div>
      </div>
    </>
  );
}
