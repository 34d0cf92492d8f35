import { Plus, SearchX, Server } from 'lucide-react';
import { useMemo, useState } from 'react';
import { Link } from 'react-router';
import { AddNode } from '@/components/AddNode';
import { Filters, LoadMore } from '@/components/Filters';
import { InfrastructureNodeCard } from '@/components/InfrastructureNodeCard';
import { PageHeader } from '@/components/PageHeader';
import { Empty, Failed } from '@/components/States';
import { Button } from '@/components/ui/button';
import { Skeleton } from '@/components/ui/skeleton';
import { useCollection } from '@/hooks/useCollection';
import { usePrimedSamples } from '@/hooks/usePrimedSamples';
import { plural } from '@/lib/format';
import { useMay } from '@/state/session';

const FIGURES = ['cpu.usage.percent', 'memory.used.percent'];

export default function Nodes() {
  const nodes = useCollection('node');
  const services = useCollection('service');
  const mayAdd = useMay('operator');
  const [adding, setAdding] = useState(false);
  const [text, setText] = useState('');
  const [status, setStatus] = useState('');
  const [type, setType] = useState('');
  usePrimedSamples(FIGURES);

  const counts = useMemo(() => {
    const map = new Map<string, number>();
    for (const s of services.items) map.set(s.nodeId, (map.get(s.nodeId) ?? 0) + 1);
    return map;
  }, [services.items]);
  const needle = text.trim().toLowerCase();
  const shown = nodes.items.filter((n) =>
    (!status || n.status === status) && (!type || n.type === type)
    && (!needle || [n.name, n.provider, n.region, ...Object.entries(n.labels).map(([k, v]) => `${k}=${v}`)].some((w) => w?.toLowerCase().includes(needle))));
  const add = mayAdd && <Button variant="primary" onClick={() => setAdding(true)}><Plus aria-hidden />Add node</Button>;

  return (
    <>
      <PageHeader title="Nodes" hint={nodes.loaded ? plural(nodes.total ?? nodes.items.length, 'machine') : undefined} actions={add} />
      <Filters text={text} onText={setText} placeholder="Name, provider, label" choices={[
        { label: 'Status', value: status, onChange: setStatus, options: ['active', 'maintenance', 'degraded', 'offline'] },
        { label: 'Type', value: type, onChange: setType, options: ['hub', 'spoke', 'experimentation'] },
      ]} />
      {nodes.error && !nodes.loaded ? <Failed error={nodes.error} retry={nodes.reload} what="The nodes" />
        : !nodes.loaded ? <div role="status" aria-label="Loading" className="grid gap-3 sm:grid-cols-2 xl:grid-cols-3">{[0, 1, 2].map((i) => <Skeleton key={i} className="h-44" />)}</div>
        : nodes.items.length === 0 ? <Empty icon={Server} title="No nodes yet" action={add}>The hub adds its own machine as soon as it has looked at it.</Empty>
        : shown.length === 0 ? <Empty icon={SearchX} title="No node matches these filters" />
        : (
          <ul className="grid gap-3 sm:grid-cols-2 xl:grid-cols-3">
            {shown.map((n) => (
              <li key={n.id} className="grid min-w-0">
                <InfrastructureNodeCard node={n} services={counts.get(n.id) ?? 0} title={<Link to={`/nodes/${n.id}`} className="after:absolute after:inset-0 after:rounded-[10px]">{n.name}</Link>} />
              </li>
            ))}
          </ul>
        )}
      <LoadMore next={nodes.next} loaded={nodes.items.length} total={nodes.total} busy={nodes.loadingMore} onMore={() => void nodes.loadMore()} />
      <AddNode open={adding} onClose={() => setAdding(false)} />
    </>
  );
}
