import { Rocket } from 'lucide-react';
import type { ReactNode } from 'react';
import { Link } from 'react-router';
import type { Node, Service } from '@/api/types';
import { DeploymentRow } from '@/components/DeploymentRow';
import { HubPulse } from '@/components/HubPulse';
import { MonitoringStatus } from '@/components/Integrations';
import { PageHeader } from '@/components/PageHeader';
import { Problems } from '@/components/Problems';
import { Empty, Failed } from '@/components/States';
import { Topology } from '@/components/Topology';
import { Button } from '@/components/ui/button';
import { Card, CardHeader } from '@/components/ui/card';
import { Skeleton, SkeletonRows } from '@/components/ui/skeleton';
import { useCollection } from '@/hooks/useCollection';
import { useSystem } from '@/hooks/useSystem';
import { useMay } from '@/state/session';

function Stat({ label, to, value, detail }: { label: string; to: string; value: ReactNode; detail: ReactNode }) {
  return (
    <Link to={to} className="card block px-4 py-3 transition-colors hover:border-strong">
      <p className="text-xs text-muted">{label}</p>
      <p className="mt-0.5 text-2xl font-semibold tracking-tight">{value ?? <Skeleton className="my-1 h-6 w-12" />}</p>
      <p className="text-xs text-muted">{detail}</p>
    </Link>
  );
}

function Counts({ nodes, nodeTotal, services, serviceTotal, running, success, problems }: {
  nodes: Node[] | null; nodeTotal: number | null; services: Service[] | null; serviceTotal: number | null; running: number; success: string | null; problems: number | null;
}) {
  const active = nodes?.filter((n) => n.status === 'active').length ?? 0;
  const up = services?.filter((s) => s.status.deployment === 'running').length ?? 0;
  const healthy = services?.filter((s) => s.status.health === 'healthy').length ?? 0;
  return (
    <div className="grid grid-cols-2 gap-3 lg:grid-cols-4">
      <Stat label="Nodes" to="/nodes" value={nodes && (nodeTotal ?? nodes.length)} detail={`${active} active`} />
      <Stat label="Services" to="/services" value={services && (serviceTotal ?? services.length)} detail={`${up} running, ${healthy} healthy`} />
      <Stat label="Deployments under way" to="/deployments" value={success === null ? null : running} detail={success} />
      <Stat label="Problems" to="/dashboard" value={problems} detail={problems === 0 ? 'all is well' : 'see what is wrong'} />
    </div>
  );
}

export default function Overview() {
  const nodes = useCollection('node');
  const services = useCollection('service');
  const deployments = useCollection('deployment');
  const { data: system, error, reload } = useSystem();
  const mayDeploy = useMay('operator');
  const open = deployments.items.filter((d) => !['completed', 'failed', 'rolled_back'].includes(d.status.state));
  const ended = deployments.items.length - open.length;
  const good = deployments.items.filter((d) => d.status.state === 'completed').length;
  return (
    <>
      <PageHeader
        title="Overview"
        actions={mayDeploy && <Button asChild variant="primary"><Link to="/services/new" data-testid="deploy-service-button"><Rocket aria-hidden />Deploy service</Link></Button>}
      />
      <Counts
        nodes={nodes.loaded ? nodes.items : null} nodeTotal={nodes.total} services={services.loaded ? services.items : null} serviceTotal={services.total}
        running={open.length} problems={system?.problems.length ?? null}
        success={deployments.loaded ? (ended > 0 ? `${good} of the last ${ended} completed` : 'none finished yet') : null}
      />
      <div className="mt-4 grid items-start gap-4 lg:grid-cols-[minmax(0,2fr)_minmax(0,1fr)]">
        <div className="space-y-4">
          <Card aria-labelledby="t-map">
            <CardHeader id="t-map" title="Hub and spokes" />
            <div className="p-4">
              {nodes.error && !nodes.loaded ? <Failed error={nodes.error} retry={nodes.reload} what="The nodes" />
                : nodes.loaded ? <Topology nodes={nodes.items} services={services.items} /> : <Skeleton className="h-52" />}
            </div>
          </Card>
          <Card aria-labelledby="t-pulse">
            <CardHeader id="t-pulse" title="The hub now" hint="last hour" actions={system && <Link className="link text-xs" to={`/nodes/${system.hubNodeId}`}>All metrics</Link>} />
            {system ? <HubPulse entityId={system.hubNodeId} /> : <div className="p-4"><Skeleton className="h-16" /></div>}
          </Card>
          <Card aria-labelledby="t-deployments">
            <CardHeader id="t-deployments" title="Recent deployments" actions={<Link className="link text-xs" to="/deployments">All</Link>} />
            {!deployments.loaded ? (deployments.error ? <Failed error={deployments.error} retry={deployments.reload} what="Deployments" /> : <SkeletonRows rows={3} />)
              : deployments.items.length === 0 ? <Empty icon={Rocket} title="Nothing has been deployed yet">Deploy a first service: an image and a port are enough.</Empty>
              : <ul className="divide-y divide-line">{deployments.items.slice(0, 6).map((d) => <DeploymentRow key={d.id} deployment={d} />)}</ul>}
          </Card>
        </div>
        <div className="space-y-4">
          <Card aria-labelledby="t-problems">
            <CardHeader id="t-problems" title="What is wrong now" />
            {system ? <Problems problems={system.problems} /> : error ? <Failed error={error} retry={reload} what="The hub's state" /> : <SkeletonRows rows={2} />}
          </Card>
          <Card aria-labelledby="t-monitoring">
            <CardHeader id="t-monitoring" title="Outside monitoring" actions={<Link className="link text-xs" to="/settings/integrations">All</Link>} />
            <MonitoringStatus system={system} />
          </Card>
        </div>
      </div>
    </>
  );
}
