import { Boxes, Rocket, SearchX } from 'lucide-react';
import { useState } from 'react';
import { Link } from 'react-router';
import { Filters, LoadMore } from '@/components/Filters';
import { PageHeader } from '@/components/PageHeader';
import { imageOf } from '@/components/ServiceRow';
import { ServiceTable } from '@/components/ServiceTable';
import { Empty, Failed } from '@/components/States';
import { Button } from '@/components/ui/button';
import { Card } from '@/components/ui/card';
import { SkeletonRows } from '@/components/ui/skeleton';
import { useCollection } from '@/hooks/useCollection';
import { useSystem } from '@/hooks/useSystem';
import { plural } from '@/lib/format';
import { useMay } from '@/state/session';

export default function Services() {
  const services = useCollection('service');
  const nodes = useCollection('node');
  const { data: system } = useSystem();
  const mayDeploy = useMay('operator');
  const [text, setText] = useState('');
  const [state, setState] = useState('');
  const [health, setHealth] = useState('');
  const [node, setNode] = useState('');

  const names = new Map(nodes.items.map((n) => [n.id, n.name]));
  const needle = text.trim().toLowerCase();
  const shown = services.items
    .filter((s) => (!state || s.status.deployment === state) && (!health || s.status.health === health) && (!node || names.get(s.nodeId) === node)
      && (!needle || [s.name, imageOf(s), ...s.networking.domains].some((w) => w.toLowerCase().includes(needle))))
    .sort((a, b) => Number(b.managed) - Number(a.managed) || a.name.localeCompare(b.name));
  const deploy = mayDeploy && <Button asChild variant="primary"><Link to="/services/new"><Rocket aria-hidden />Deploy service</Link></Button>;
  const engine = system?.engine;
  return (
    <>
      <PageHeader title="Services" hint={services.loaded ? plural(services.total ?? services.items.length, 'service') : undefined} actions={deploy} />
      <Filters text={text} onText={setText} placeholder="Name, image, domain" choices={[
        { label: 'State', value: state, onChange: setState, options: ['running', 'stopped', 'failed', 'deploying', 'updating'] },
        { label: 'Health', value: health, onChange: setHealth, options: ['healthy', 'unhealthy', 'unknown'] },
        { label: 'Node', value: node, onChange: setNode, options: nodes.items.map((n) => n.name) },
      ]} />
      <Card>
        {services.error && !services.loaded ? <Failed error={services.error} retry={services.reload} what="The services" />
          : !services.loaded ? <SkeletonRows rows={5} />
          : services.items.length === 0 ? (
            <Empty icon={Boxes} title="No services yet" action={engine?.available !== false && deploy}>
              {engine?.available === false
                ? `${engine.reason ?? 'No container engine answers on the hub.'} Once it runs, its containers appear here by themselves.`
                : 'Deploy a first one. Containers that run on a node already appear here by themselves.'}
            </Empty>
          )
          : shown.length === 0 ? <Empty icon={SearchX} title="No service matches these filters" />
          : <ServiceTable services={shown} nodeName={(id) => names.get(id) ?? id} />}
      </Card>
      <LoadMore next={services.next} loaded={services.items.length} total={services.total} busy={services.loadingMore} onMore={() => void services.loadMore()} />
    </>
  );
}
