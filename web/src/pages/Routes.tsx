import { ExternalLink, Waypoints } from 'lucide-react';
import { Link } from 'react-router';
import { hub } from '@/api/hub';
import type { Route } from '@/api/types';
import { Certificates } from '@/components/Certificates';
import { PageHeader } from '@/components/PageHeader';
import { webUrl } from '@/components/ServiceRow';
import { Empty, Failed } from '@/components/States';
import { Status } from '@/components/Status';
import { Card, CardHeader } from '@/components/ui/card';
import { SkeletonRows } from '@/components/ui/skeleton';
import { Table, Td, Th, Tr } from '@/components/ui/table';
import { useResource } from '@/hooks/useResource';
import { NOTHING, number, plural } from '@/lib/format';
import { useEntities } from '@/state/entities';

function stateOf(r: Route): [state: string, label: string] {
  if (r.state === 'refused') return ['failed', 'refused'];
  if (r.state === 'pending') return ['initiated', 'pending'];
  return r.serving ? ['healthy', 'serves'] : ['unhealthy', 'no instance'];
}

function RouteRow({ route: r }: { route: Route }) {
  const [state, label] = stateOf(r);
  const url = webUrl(r.url);
  return (
    <Tr>
      <Td className="max-w-72">
        <Link to={`/services/${r.serviceId}`} className="font-medium hover:underline">{r.service}</Link>
        <p className="text-xs break-words text-muted">{url ? <a className="link inline-flex items-center gap-1" href={url} target="_blank" rel="noreferrer">{r.domains.join(', ')}<ExternalLink aria-label="opens in a new tab" className="size-3" /></a> : r.domains.join(', ')}</p>
        {r.reason && <p className="text-xs text-bad">{r.reason}</p>}
      </Td>
      <Td><Status state={state} label={label} /></Td>
      <Td className="font-mono text-xs max-md:hidden">{r.upstreams.length > 0 ? r.upstreams.map((u) => <span key={u} className="block">{u}</span>) : NOTHING}</Td>
      <Td className="text-right max-md:hidden">{r.inFlight ?? NOTHING}</Td>
      <Td className="text-right max-sm:hidden">{r.figures ? number(r.figures.requests, 0) : NOTHING}</Td>
      <Td className="text-right max-sm:hidden">{r.figures ? number(r.figures.responses['5xx'], 0) : NOTHING}</Td>
      <Td className="text-right max-md:hidden">{r.figures?.meanMs == null ? NOTHING : `${number(r.figures.meanMs, 1)} ms`}</Td>
    </Tr>
  );
}

export default function RoutesPage() {
  // A switch, a scaling or a removal shows as a change of a service: read anew then.
  const changes = useEntities((s) => Object.values(s.service.byId).map((x) => `${x.id}${x.metadata.updatedAt}`).join());
  const { data, error, reload } = useResource(`routes/${changes}`, (signal) => hub.routes(signal));
  const router = data?.router;
  const hint = router && (!router.configured ? 'no router is configured' : `${router.reached ? 'the router answers' : 'the router does not answer'}, ${plural(router.reloads, 'reload')} since the hub’s start`);
  return (
    <>
      <PageHeader title="Routes" hint="Which domain leads to which service." />
      <Card aria-labelledby="t-routes">
        <CardHeader id="t-routes" title="Routes" hint={hint} />
        {!data ? (error ? <Failed error={error} retry={reload} what="The routes" /> : <SkeletonRows rows={4} />)
          : data.routes.length === 0 ? (
            <Empty icon={Waypoints} title="No route yet">
              {router?.configured ? 'A service with a domain gets one with its deployment.' : 'Set CADDY_ADMIN_URL, and services with domains are routed. Without it they are reached at their published ports.'}
            </Empty>
          ) : (
            <Table>
              <thead><tr><Th>Service</Th><Th>State</Th><Th className="max-md:hidden">Upstreams</Th><Th className="text-right max-md:hidden">In flight</Th><Th className="text-right max-sm:hidden">Requests</Th><Th className="text-right max-sm:hidden">5xx</Th><Th className="text-right max-md:hidden">Mean</Th></tr></thead>
              <tbody>{data.routes.map((r) => <RouteRow key={r.serviceId} route={r} />)}</tbody>
            </Table>
          )}
      </Card>
      {router?.configured && data && data.routes.length > 0 && <Certificates />}
    </>
  );
}
