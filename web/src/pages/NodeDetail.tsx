import { Boxes, ChartLine, Trash2 } from 'lucide-react';
import { useCallback, useState } from 'react';
import { Link, useNavigate, useParams } from 'react-router';
import { hub } from '@/api/hub';
import type { Node, NodeUpdate } from '@/api/types';
import { Ago } from '@/components/Ago';
import { Charts } from '@/components/Charts';
import { ConfirmByName } from '@/components/ConfirmByName';
import { Facts } from '@/components/Facts';
import { Labels } from '@/components/Labels';
import { PageHeader } from '@/components/PageHeader';
import { ServiceTable } from '@/components/ServiceTable';
import { Empty, Failed } from '@/components/States';
import { Status } from '@/components/Status';
import { Button } from '@/components/ui/button';
import { Card, CardHeader } from '@/components/ui/card';
import { Switch } from '@/components/ui/field';
import { SkeletonRows } from '@/components/ui/skeleton';
import { useAction } from '@/hooks/useAction';
import { useEntity } from '@/hooks/useEntity';
import { useSystem } from '@/hooks/useSystem';
import { useResource } from '@/hooks/useResource';
import { NODE_CHARTS } from '@/lib/charts';
import { dateTime, number, plural, uptime } from '@/lib/format';
import { useEntities } from '@/state/entities';
import { useMay } from '@/state/session';

const gb = (n: number | null) => (n == null ? null : `${number(n, 1)} GB`);

function NodeFacts({ node: n }: { node: Node }) {
  const { resources: r, networking: net, metadata: m } = n;
  return (
    <Card aria-labelledby="t-facts">
      <CardHeader id="t-facts" title="Machine" />
      <Facts facts={[
        ['Type', n.type],
        ['Provider', [n.provider, n.region].filter(Boolean).join(', ')],
        ['vCPU', r.cpu == null ? null : number(r.cpu)],
        ['Memory', gb(r.memory)],
        ['Disk', gb(r.storage)],
        ['System', m.osVersion],
        ['Kernel', [m.kernelVersion, m.architecture].filter(Boolean).join(', ')],
        ['Engine', m.engineName ? `${m.engineName} ${m.engineVersion ?? ''}` : 'none'],
        ['Reached by', n.engine.kind === 'none' ? null : <span key="e">{n.engine.kind}{n.engine.url && <span className="ml-1 font-mono text-xs break-all">{n.engine.url}</span>}</span>],
        ['Host name', net.hostname],
        ['Addresses', net.addresses.length > 0 && <span className="font-mono text-xs">{net.addresses.join(', ')}</span>],
        ['Mesh address', net.tailscaleIP],
        ['Uptime', n.monitoring.uptime == null ? null : uptime(n.monitoring.uptime)],
        ['Last seen', <Ago key="seen" at={m.lastSeen} />],
        ['Known since', dateTime(m.createdAt)],
        ['hbcloud', m.version],
      ]} />
    </Card>
  );
}

function NodeServices({ id }: { id: string }) {
  const { data, error, reload } = useResource(`services-on/${id}`, (signal) => hub.servicesOn(id, signal));
  const known = useEntities((s) => s.service.byId);
  const mayDeploy = useMay('operator');
  const ids = new Set([...(data ?? []).map((s) => s.id), ...Object.values(known).filter((s) => s.nodeId === id).map((s) => s.id)]);
  const services = [...ids].flatMap((sid) => known[sid] ?? data?.find((s) => s.id === sid) ?? []);
  return (
    <Card aria-labelledby="t-services">
      <CardHeader id="t-services" title="Services" hint={data && plural(services.length, 'service')} />
      {data ? (services.length > 0 ? <ServiceTable services={services} />
        : <Empty icon={Boxes} title="No service runs here" action={mayDeploy && <Button asChild><Link to={`/services/new?node=${id}`}>Deploy one here</Link></Button>} />)
        : error ? <Failed error={error} retry={reload} what="Its services" /> : <SkeletonRows rows={3} />}
    </Card>
  );
}

function Removal({ node, open, onClose }: { node: Node; open: boolean; onClose: () => void }) {
  const navigate = useNavigate();
  const remove = useCallback(async () => {
    await hub.deleteNode(node.id);
    void navigate('/nodes');
    return `${node.name} is forgotten.`;
  }, [node.id, node.name, navigate]);
  const { start, busy } = useAction(remove);
  return (
    <ConfirmByName open={open} onClose={onClose} title={`Forget ${node.name}?`} name={node.name} action="Forget node" busy={busy} onConfirm={() => void start()}>
      <p>The hub forgets this machine. Nothing on the machine itself is changed. It is refused while services live there.</p>
    </ConfirmByName>
  );
}

export default function NodeDetail() {
  const { id = '' } = useParams();
  const { item: node, removed, error, reload } = useEntity('node', id);
  const { data: system } = useSystem();
  const mayChange = useMay('operator');
  const [removing, setRemoving] = useState(false);
  const nodeId = node?.id ?? id;
  const change = useCallback(async (patch: NodeUpdate, done?: string) => {
    await hub.updateNode(nodeId, patch);
    return done;
  }, [nodeId]);
  const { start, busy } = useAction(change);

  if (removed) return <><PageHeader title="Node" parent={{ to: '/nodes', label: 'Nodes' }} /><Empty icon={Trash2} title="This node is no longer known" action={<Button asChild><Link to="/nodes">All nodes</Link></Button>} /></>;
  if (!node) return <><PageHeader title="Node" parent={{ to: '/nodes', label: 'Nodes' }} />{error ? <Failed error={error} retry={reload} what="This node" /> : <SkeletonRows rows={6} />}</>;
  const own = system?.hubNodeId === node.id;
  const resting = node.status === 'maintenance';
  return (
    <>
      <PageHeader
        title={node.name} parent={{ to: '/nodes', label: 'Nodes' }} badge={<Status state={node.status} live />}
        actions={mayChange && (
          <>
            <span className="flex items-center gap-2 text-muted">
              <span id="t-maintenance">Maintenance</span>
              <Switch aria-labelledby="t-maintenance" checked={resting} disabled={busy}
                onChange={(on) => void start({ status: on ? 'maintenance' : 'active' }, on ? `${node.name} is in maintenance: nothing new is placed there.` : `${node.name} takes services again.`)} />
            </span>
            <Button variant="danger" disabled={own} title={own ? 'The hub’s own machine stays known.' : undefined} onClick={() => setRemoving(true)}><Trash2 aria-hidden />Forget</Button>
          </>
        )}
      />
      <div className="grid items-start gap-4 lg:grid-cols-[minmax(0,1fr)_320px]">
        <div className="min-w-0 space-y-5">
          <NodeServices id={node.id} />
          {node.metadata.lastSeen ? <Charts specs={NODE_CHARTS} entityId={node.id} />
            : <Card aria-labelledby="t-metrics"><CardHeader id="t-metrics" title="Metrics" /><Empty icon={ChartLine} title="This machine has not been seen yet">Its charts begin with its first sample.</Empty></Card>}
        </div>
        <div className="space-y-4 max-lg:order-first">
          <NodeFacts node={node} />
          <Card aria-labelledby="t-labels">
            <CardHeader id="t-labels" title="Labels" />
            <Labels labels={node.labels} editable={mayChange} busy={busy} onChange={(labels) => start({ labels })} />
          </Card>
        </div>
      </div>
      <Removal node={node} open={removing} onClose={() => setRemoving(false)} />
    </>
  );
}
