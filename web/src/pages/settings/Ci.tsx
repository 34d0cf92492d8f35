import { Check, GitBranch, GitPullRequest, X } from 'lucide-react';
import { useCallback } from 'react';
import { Link } from 'react-router';
import { hub } from '@/api/hub';
import type { CiApproval, CiRule, CiRun } from '@/api/types';
import { Ago } from '@/components/Ago';
import { Empty, Failed } from '@/components/States';
import { Status, StatusIcon } from '@/components/Status';
import { Button } from '@/components/ui/button';
import { Card, CardHeader } from '@/components/ui/card';
import { SkeletonRows } from '@/components/ui/skeleton';
import { Table, Td, Th, Tr } from '@/components/ui/table';
import { useAction } from '@/hooks/useAction';
import { useAgainWhile, useResource } from '@/hooks/useResource';
import { words } from '@/lib/format';
import { useMay } from '@/state/session';

function Decide({ approval: a, onDone }: { approval: CiApproval; onDone: () => void }) {
  const decide = useCallback(async (verb: 'approve' | 'reject') => {
    await hub.decide(a.id, verb);
    onDone();
    return verb === 'approve' ? `${a.image} is deployed as ${a.service}.` : `${a.image} is not deployed.`;
  }, [a.id, a.image, a.service, onDone]);
  const { start, busy } = useAction(decide);
  return (
    <span className="inline-flex gap-2">
      <Button size="sm" variant="primary" busy={busy} onClick={() => void start('approve')}><Check aria-hidden />Approve</Button>
      <Button size="sm" busy={busy} onClick={() => void start('reject')}><X aria-hidden />Reject</Button>
    </span>
  );
}

const isOpen = (a: CiApproval) => ['approval', 'gates', 'deploying'].includes(a.state);

function Approval({ approval: a, mayAct, onDone }: { approval: CiApproval; mayAct: boolean; onDone: () => void }) {
  const waits = a.state === 'approval';
  return (
    <li className="flex flex-wrap items-start gap-x-4 gap-y-2 px-4 py-3">
      <div className="min-w-0 flex-1 basis-64">
        <p><span className="font-medium">{a.service}</span> <span className="text-muted">in {a.environment}</span></p>
        <p className="font-mono text-xs break-all text-muted">{a.image}</p>
        {a.git && <p className="text-xs text-muted">{a.git.commitMessage?.split('\n')[0]} <span className="font-mono">{a.git.commit?.slice(0, 8)}</span>{a.git.author && ` by ${a.git.author}`}</p>}
        {a.reason && <p className="text-xs">{a.reason}</p>}
        {a.gates.length > 0 && <ul className="mt-1 space-y-0.5 text-xs">{a.gates.map((g) => <li key={g.gate} className="flex items-center gap-1.5"><StatusIcon state={g.held ? 'success' : 'failed'} />{g.gate}: {g.found}</li>)}</ul>}
      </div>
      <span className="text-xs text-muted"><Ago at={a.createdAt} /></span>
      {waits && mayAct ? <Decide approval={a} onDone={onDone} />
        : a.deploymentId ? <Link className="link text-xs" to={`/deployments/${a.deploymentId}`}>{words(a.state)}</Link> : <Status state={isOpen(a) ? 'initiated' : 'stopped'} label={words(a.state)} />}
    </li>
  );
}

const LOOKS: Record<string, string> = { success: 'success', cancelled: 'cancelled', stale: 'cancelled', skipped: 'skipped', neutral: 'skipped' };
const runState = (r: CiRun) => (r.conclusion ? LOOKS[r.conclusion] ?? 'failed' : 'building');

function Runs({ runs }: { runs: CiRun[] }) {
  return (
    <Table>
      <thead><tr><Th>Result</Th><Th>Run</Th><Th className="max-sm:hidden">Commit</Th><Th>When</Th></tr></thead>
      <tbody>
        {runs.map((r) => (
          <Tr key={`${r.source}${r.id}`}>
            <Td><Status state={runState(r)} label={words(r.conclusion ?? r.status)} /></Td>
            <Td><span className="font-medium">{r.repository}</span> <span className="text-muted">{r.name ?? r.source} #{r.number}</span>{r.deploymentId && <Link className="link ml-2 text-xs" to={`/deployments/${r.deploymentId}`}>{r.serviceName}</Link>}</Td>
            <Td className="text-xs text-muted max-sm:hidden"><span className="font-mono">{r.commit?.slice(0, 8)}</span> {r.branch}</Td>
            <Td className="text-xs text-muted"><Ago at={r.completedAt ?? r.startedAt ?? r.createdAt} /></Td>
          </Tr>
        ))}
      </tbody>
    </Table>
  );
}

const matchOf = (r: CiRule) => r.match.image ?? [r.match.repository, r.match.branch, r.match.workflow].filter(Boolean).join(', ');

function Rules({ rules }: { rules: CiRule[] }) {
  return (
    <Table>
      <thead><tr><Th>When</Th><Th>Deploys</Th><Th className="max-sm:hidden">Approval</Th><Th className="text-right max-sm:hidden">Gates</Th></tr></thead>
      <tbody>{rules.map((r) => <Tr key={r.id}><Td className="font-mono text-xs break-all">{matchOf(r)}</Td><Td>{r.service} <span className="text-muted">in {r.environment}</span></Td><Td className="max-sm:hidden">{r.approval}</Td><Td className="text-right max-sm:hidden">{r.gates.length}</Td></Tr>)}</tbody>
    </Table>
  );
}

/* What CI told, what may deploy by itself, and what waits for a person. */
export function Ci() {
  const approvals = useResource('ci/approvals', (signal) => hub.ciApprovals(signal));
  const runs = useResource('ci/runs', (signal) => hub.ciRuns(signal));
  const rules = useResource('ci/rules', (signal) => hub.ciRules(signal));
  const mayAct = useMay('operator');
  useAgainWhile(approvals.data?.some(isOpen) ?? false, approvals);
  return (
    <div className="space-y-4">
      <Card aria-labelledby="t-approvals">
        <CardHeader id="t-approvals" title="Approvals" />
        {!approvals.data ? (approvals.error ? <Failed error={approvals.error} retry={approvals.reload} what="The approvals" /> : <SkeletonRows rows={2} />)
          : approvals.data.length === 0 ? <Empty icon={GitPullRequest} title="Nothing waits for an approval" />
          : <ul className="divide-y divide-line">{approvals.data.map((a) => <Approval key={a.id} approval={a} mayAct={mayAct} onDone={approvals.reload} />)}</ul>}
      </Card>
      <Card aria-labelledby="t-runs">
        <CardHeader id="t-runs" title="Runs" hint="as GitHub and Travis CI told" />
        {!runs.data ? (runs.error ? <Failed error={runs.error} retry={runs.reload} what="The runs" /> : <SkeletonRows rows={2} />)
          : runs.data.length === 0 ? <Empty icon={GitBranch} title="No run has been told yet">Point a webhook of your repository at this hub; docs/operations/ci.md says how.</Empty> : <Runs runs={runs.data} />}
      </Card>
      {(rules.error || (rules.data && rules.data.length > 0)) && (
        <Card aria-labelledby="t-rules">
          <CardHeader id="t-rules" title="Rules" />
          {rules.data ? <Rules rules={rules.data} /> : rules.error && <Failed error={rules.error} retry={rules.reload} what="The rules" />}
        </Card>
      )}
    </div>
  );
}
