import { Activity } from 'lucide-react';
import type { ReactNode } from 'react';
import type { Node } from '@/api/types';
import { useNow } from '@/hooks/useNow';
import { cn } from '@/lib/cn';
import { number, plural, uptime } from '@/lib/format';
import { useLatest } from '@/state/samples';
import { Ago } from './Ago';
import { Meter } from './Meter';
import { Status } from './Status';

const FRESH_MS = 5 * 60_000;

type Watch = 'healthy' | 'stale' | 'unknown';
const WATCH: Record<Watch, { look: string; say: string }> = {
  healthy: { look: 'text-ok', say: 'reports' },
  stale: { look: 'text-warn', say: 'no recent report' },
  unknown: { look: 'text-faint', say: 'not configured' },
};

/* Datadog watches a node when it has a name there; it does so well while health checks keep coming. */
function datadogWatch(node: Node, now: number): Watch {
  const { datadogHost, lastHealthCheck } = node.monitoring;
  if (!datadogHost || !lastHealthCheck) return 'unknown';
  return now - Date.parse(lastHealthCheck) < FRESH_MS ? 'healthy' : 'stale';
}

function Monitoring({ node }: { node: Node }) {
  const now = useNow();
  const { lastHealthCheck, uptime: percent } = node.monitoring;
  const watch = datadogWatch(node, now);
  return (
    <div className="flex flex-wrap items-center gap-x-3 gap-y-1 border-t border-line px-4 py-2 text-xs text-muted">
      {lastHealthCheck ? (
        <>
          <span>{percent == null ? 'uptime not known yet' : `${uptime(percent)} uptime`}</span>
          {now - Date.parse(lastHealthCheck) > FRESH_MS && <span>checked <Ago at={lastHealthCheck} /></span>}
        </>
      ) : <span>Monitoring data unavailable</span>}
      <span data-testid="datadog-status" className={cn('ml-auto inline-flex items-center gap-1', `status-${watch}`, WATCH[watch].look)}>
        <Activity aria-hidden className="size-3" />Datadog {WATCH[watch].say}
      </span>
    </div>
  );
}

interface Props {
  node: Node;
  title?: ReactNode; // the name as a link, where there is somewhere to go
  services?: number;
}

export function InfrastructureNodeCard({ node, title, services }: Props) {
  const cpu = useLatest(node.id, 'cpu.usage.percent');
  const memory = useLatest(node.id, 'memory.used.percent');
  const { resources } = node;
  const size = [
    resources.cpu != null && `${number(resources.cpu)} vCPU`,
    resources.memory != null && `${number(resources.memory, 1)} GB`,
    resources.storage != null && `${number(resources.storage, 0)} GB disk`,
    services !== undefined && plural(services, 'service'),
  ].filter(Boolean).join(' · ');
  return (
    <article aria-label={node.name} className="card relative flex flex-col transition-colors hover:border-strong">
      <div className="flex-1 px-4 pt-3.5 pb-3">
        <div className="flex items-start justify-between gap-2">
          <div className="min-w-0">
            <h2 className="truncate text-base font-semibold">{title ?? node.name}</h2>
            <p className="truncate text-xs text-muted">{[node.type, node.provider, node.region].filter(Boolean).join(' · ')}</p>
          </div>
          <Status state={node.status} />
        </div>
        {node.status === 'offline' && cpu === undefined
          ? <p className="mt-3 text-muted">{node.metadata.lastSeen ? <>Last seen <Ago at={node.metadata.lastSeen} />.</> : 'Not seen yet.'}</p>
          : <div className="mt-3 grid grid-cols-2 gap-4"><Meter label="CPU" value={cpu} /><Meter label="Memory" value={memory} /></div>}
        <p className="mt-3 truncate text-xs text-muted">{size}</p>
      </div>
      <Monitoring node={node} />
    </article>
  );
}
