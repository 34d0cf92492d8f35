import { ExternalLink, Rocket, Trash2 } from 'lucide-react';
import { Link, useParams } from 'react-router';
import { hub } from '@/api/hub';
import type { Service } from '@/api/types';
import { Ago } from '@/components/Ago';
import { Charts } from '@/components/Charts';
import { DriftCard } from '@/components/DriftCard';
import { DeploymentRow } from '@/components/DeploymentRow';
import { Facts } from '@/components/Facts';
import { PageHeader } from '@/components/PageHeader';
import { Releases } from '@/components/Releases';
import { ServiceActions } from '@/components/ServiceActions';
import { ServiceLogsCard } from '@/components/ServiceLogs';
import { imageOf, webUrl } from '@/components/ServiceRow';
import { Empty, Failed } from '@/components/States';
import { Status } from '@/components/Status';
import { Button } from '@/components/ui/button';
import { Card, CardHeader } from '@/components/ui/card';
import { SkeletonRows } from '@/components/ui/skeleton';
import { useEntity } from '@/hooks/useEntity';
import { useResource } from '@/hooks/useResource';
import { LIMITED_SERVICE_CHARTS, SERVICE_CHARTS } from '@/lib/charts';
import { dateTime, number, uptime } from '@/lib/format';
import { useEntities } from '@/state/entities';
import { useMay } from '@/state/session';

const PARENT = { to: '/services', label: 'Services' };

function Address({ service }: { service: Service }) {
  const url = webUrl(service.networking.url);
  if (!url) return <span className="text-faint">{service.networking.url ?? 'not reachable now'}</span>;
  return <a className="link inline-flex items-center gap-1" href={url} target="_blank" rel="noreferrer">{url}<ExternalLink aria-label="opens in a new tab" className="size-3" /></a>;
}

const seconds = (n: number) => `${number(n)} s`;

function health(s: Service): string {
  const { path, command, interval, timeout } = s.networking.healthCheck;
  const what = path ? `GET ${path}` : command ? command.join(' ') : 'connection or the image’s own check';
  return `${what}, every ${seconds(interval)}, ${seconds(timeout)} to answer`;
}

function ServiceFacts({ service: s, nodeName }: { service: Service; nodeName: string }) {
  const { container: c, metadata: m } = s;
  const ports = s.networking.ports.map((p) => `${p.host ?? '?'} → ${p.container}/${p.protocol}`).join(', ');
  return (
    <Card aria-labelledby="t-facts">
      <CardHeader id="t-facts" title="Service" />
      <Facts facts={[
        ['Address', <Address key="a" service={s} />],
        ['Node', <Link key="n" className="link" to={`/nodes/${s.nodeId}`}>{nodeName}</Link>],
        ['Image', <span key="i" className="font-mono text-xs">{imageOf(s)}</span>],
        ['Digest', c.digest && <span className="font-mono text-2xs break-all">{c.digest}</span>],
        ['Version', m.version],
        ['Instances', `${s.instances.running} of ${s.instances.wanted} run, ${s.instances.healthy} healthy`],
        ['Type', [s.type, s.environment].filter(Boolean).join(', ')],
        ['Ports', ports],
        ['Domains', s.networking.domains.join(', ')],
        ['Route', s.networking.caddyConfig && <details key="r"><summary className="cursor-pointer">as Caddy has it</summary><pre className="mt-1 max-h-64 overflow-auto rounded-md bg-canvas p-2 font-mono text-2xs">{s.networking.caddyConfig}</pre></details>],
        ['Consul', s.monitoring.consulServiceId && <span className="font-mono text-xs">{s.monitoring.consulServiceId}</span>],
        ['Health check', health(s)],
        ['Checked', <Ago key="c" at={s.status.lastHealthCheck} />],
        ['Uptime', s.status.uptime == null ? null : uptime(s.status.uptime)],
        ['Restarts', c.restartCount],
        ['Limits', [c.resources.cpu != null && `${number(c.resources.cpu)} cores`, c.resources.memory != null && `${number(c.resources.memory)} MiB`].filter(Boolean).join(', ') || 'none'],
        ['Environment', c.environment.length > 0 && <span className="font-mono text-xs">{c.environment.join(', ')}</span>],
        ['Volumes', c.volumes.length > 0 && <ul className="font-mono text-xs">{c.volumes.map((v) => <li key={v.target} className="break-all">{v.source} → {v.target}{v.readonly ? ' (read only)' : ''}</li>)}</ul>],
        ['Deployed', m.deployedAt ? <span key="d">{dateTime(m.deployedAt)}{m.deployedBy ? ` by ${m.deployedBy}` : ''}</span> : 'not by hbcloud'],
      ]} />
    </Card>
  );
}

function ServiceDeployments({ id }: { id: string }) {
  const { data, error, reload } = useResource(`deployments-of/${id}`, (signal) => hub.deploymentsOf(id, signal));
  const known = useEntities((s) => s.deployment.byId);
  const merged = new Map((data ?? []).map((d) => [d.id, d]));
  for (const d of Object.values(known)) if (d.serviceInstanceId === id) merged.set(d.id, d);
  const list = [...merged.values()].sort((a, b) => b.timing.startedAt.localeCompare(a.timing.startedAt));
  return (
    <Card aria-labelledby="t-deployments">
      <CardHeader id="t-deployments" title="Deployments" />
      {!data ? (error ? <Failed error={error} retry={reload} what="Its deployments" /> : <SkeletonRows rows={2} />)
        : list.length === 0 ? <Empty icon={Rocket} title="hbcloud has not deployed it yet" />
        : <ul className="divide-y divide-line">{list.map((d) => <DeploymentRow key={d.id} deployment={d} />)}</ul>}
    </Card>
  );
}

export default function ServiceDetail() {
  const { id = '' } = useParams();
  const { item: service, removed, error, reload } = useEntity('service', id);
  const { item: node } = useEntity('node', service?.nodeId);
  const mayAct = useMay('operator');
  if (removed) return <><PageHeader title="Service" parent={PARENT} /><Empty icon={Trash2} title="This service was removed" action={<Button asChild><Link to="/services">All services</Link></Button>}>Its deployments stay on record.</Empty></>;
  if (!service) return <><PageHeader title="Service" parent={PARENT} />{error ? <Failed error={error} retry={reload} what="This service" /> : <SkeletonRows rows={6} />}</>;
  return (
    <>
      <PageHeader
        title={service.name} parent={PARENT}
        badge={<><Status state={service.status.deployment} live /><Status state={service.status.health} live />{!service.managed && <Status state="info" label="found, not managed" />}</>}
        hint={service.status.message}
        actions={mayAct && <ServiceActions service={service} />}
      />
      <div className="grid items-start gap-4 lg:grid-cols-[minmax(0,1fr)_340px]">
        <div className="min-w-0 space-y-5">
          <DriftCard service={service} />
          <Charts specs={service.container.resources.memory == null ? SERVICE_CHARTS : LIMITED_SERVICE_CHARTS} entityId={service.id} />
          <ServiceLogsCard id={service.id} />
          {service.managed && <Releases service={service} />}
          <ServiceDeployments id={service.id} />
        </div>
        <div className="max-lg:order-first"><ServiceFacts service={service} nodeName={node?.name ?? '…'} /></div>
      </div>
    </>
  );
}
