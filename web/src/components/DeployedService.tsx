/* What came out of a deployment: the service as it is now. */
import { ExternalLink } from 'lucide-react';
import { Link } from 'react-router';
import type { Deployment, Service, System } from '@/api/types';
import { useEntity } from '@/hooks/useEntity';
import { findIntegration } from './Integrations';
import { webUrl } from './ServiceRow';
import { Status } from './Status';
import { Card, CardHeader } from './ui/card';
import { Skeleton } from './ui/skeleton';

function consulSays(service: Service | undefined, system: System | undefined): [state: string, label: string] {
  if (service?.monitoring.consulServiceId) return ['healthy', 'registered'];
  if (system && !findIntegration(system, 'consul')?.configured) return ['unknown', 'not configured'];
  return ['unknown', 'not registered'];
}

function Address({ url }: { url: string | null }) {
  const web = webUrl(url);
  if (!web) return <span className="text-faint">{url ?? 'not reachable yet'}</span>;
  return (
    <span className="inline-flex max-w-full items-center gap-1">
      <a data-testid="service-url" className="link truncate" href={web} target="_blank" rel="noreferrer">{web}</a>
      <ExternalLink aria-hidden className="size-3 shrink-0 text-muted" />
    </span>
  );
}

export function DeployedService({ deployment: d, system }: { deployment: Deployment; system: System | undefined }) {
  const { item: service, error, removed } = useEntity('service', d.serviceInstanceId);
  const [state, label] = consulSays(service, system);
  const gone = removed || error?.status === 404;
  return (
    <Card aria-labelledby="t-service">
      <CardHeader id="t-service" title="Service" actions={service && <Link className="link text-xs" to={`/services/${service.id}`}>Open</Link>} />
      {!service && !gone && !error && <div className="p-4"><Skeleton className="h-20" /></div>}
      {gone && <p className="px-4 py-3 text-muted">The service is gone. This record stays.</p>}
      {error && !gone && <p role="alert" className="px-4 py-3 text-muted">{error.message}</p>}
      {service && (
        <dl className="grid grid-cols-[auto_minmax(0,1fr)] items-center gap-x-5 gap-y-2 px-4 py-3">
          <dt className="text-muted">State</dt><dd><Status state={service.status.deployment} /></dd>
          <dt className="text-muted">Health</dt><dd><Status state={service.status.health} testId="service-health" live /></dd>
          <dt className="text-muted">Address</dt><dd className="min-w-0"><Address url={service.networking.url} /></dd>
          <dt className="text-muted">Consul</dt><dd><Status state={state} label={label} testId="consul-registered" /></dd>
        </dl>
      )}
    </Card>
  );
}
