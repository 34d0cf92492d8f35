/* The releases of a service, and the way back to one of them. */
import { History, Undo2 } from 'lucide-react';
import { useCallback, useState } from 'react';
import { useNavigate } from 'react-router';
import { hub } from '@/api/hub';
import type { Release, Service } from '@/api/types';
import { useAction } from '@/hooks/useAction';
import { useResource } from '@/hooks/useResource';
import { NOTHING } from '@/lib/format';
import { useEntities } from '@/state/entities';
import { useMay } from '@/state/session';
import { Ago } from './Ago';
import { isOver } from './DeploymentRow';
import { PlanView } from './PlanView';
import { Empty, Failed } from './States';
import { Status } from './Status';
import { Button } from './ui/button';
import { Card, CardHeader } from './ui/card';
import { Dialog } from './ui/dialog';
import { Skeleton, SkeletonRows } from './ui/skeleton';
import { Table, Td, Th, Tr } from './ui/table';

function RollbackForm({ service, release, onClose }: { service: Service; release: Release; onClose: () => void }) {
  const navigate = useNavigate();
  const plan = useResource(`rollback-plan/${service.id}/${release.number}`, () => hub.rollbackPlan(service.id, release.number));
  const roll = useCallback(async () => {
    const reply = await hub.rollback(service.id, release.number);
    void navigate(`/deployments/${reply.deployment_id}`);
    return undefined;
  }, [service.id, release.number, navigate]);
  const { start, busy } = useAction(roll);
  return (
    <div className="space-y-4">
      <p className="text-muted">Release {release.number} is deployed again, whole: its image by digest, its settings, ports, volumes and routes of then.</p>
      {plan.error ? <p role="alert" className="rounded-md bg-bad-soft px-3 py-2 text-bad">{plan.error.message}</p>
        : plan.data ? <PlanView plan={plan.data} /> : <Skeleton className="h-24" />}
      <div className="flex justify-end gap-2">
        <Button onClick={onClose}>Cancel</Button>
        <Button variant="primary" busy={busy} disabled={!plan.data} onClick={() => void start()}>Roll back</Button>
      </div>
    </div>
  );
}

function ReleaseRow({ release: r, mayAct, onRoll }: { release: Release; mayAct: boolean; onRoll: () => void }) {
  return (
    <Tr>
      <Td className="font-medium">{r.number}</Td>
      <Td className="max-w-64 font-mono text-xs max-sm:[overflow-wrap:anywhere] sm:truncate" title={r.digest ?? r.image}>{r.image}</Td>
      <Td className="text-xs text-muted max-sm:hidden">{r.createdBy ?? NOTHING}</Td>
      <Td className="text-xs text-muted max-sm:hidden">{r.servedAt ? <Ago at={r.servedAt} /> : 'never served'}</Td>
      <Td className="text-right">
        {r.serving ? <Status state="running" label="serves" />
          : mayAct && <Button size="sm" disabled={!r.rollback.possible} title={r.rollback.reason ?? undefined} aria-label={`Roll back to release ${r.number}`} onClick={onRoll}><Undo2 aria-hidden />Roll back</Button>}
      </Td>
    </Tr>
  );
}

export function Releases({ service }: { service: Service }) {
  // Read anew whenever a deployment of the service has ended.
  const ended = useEntities((s) => Object.values(s.deployment.byId).filter((d) => d.serviceInstanceId === service.id && isOver(d)).length);
  const { data, error, reload } = useResource(`releases/${service.id}/${ended}`, (signal) => hub.releases(service.id, signal));
  const mayAct = useMay('operator');
  const [chosen, setChosen] = useState<Release | null>(null);
  const close = () => setChosen(null);
  return (
    <Card aria-labelledby="t-releases">
      <CardHeader id="t-releases" title="Releases" hint="what was deployed, whole" />
      {!data ? (error ? <Failed error={error} retry={reload} what="Its releases" /> : <SkeletonRows rows={2} />)
        : data.length === 0 ? <Empty icon={History} title="No release yet" />
        : (
          <Table>
            <thead><tr><Th>No.</Th><Th>Image</Th><Th className="max-sm:hidden">By</Th><Th className="max-sm:hidden">Served</Th><Th><span className="sr-only">Action</span></Th></tr></thead>
            <tbody>{data.map((r) => <ReleaseRow key={r.number} release={r} mayAct={mayAct} onRoll={() => setChosen(r)} />)}</tbody>
          </Table>
        )}
      <Dialog open={chosen !== null} onClose={close} title={`Roll back ${service.name} to release ${chosen?.number ?? ''}`} wide>
        {chosen && <RollbackForm service={service} release={chosen} onClose={close} />}
      </Dialog>
    </Card>
  );
}
