/* The hub's own machine, moving. */
import type { Query } from '@/lib/charts';
import { inUnit, type Unit } from '@/lib/format';
import { summary } from '@/lib/series';
import { useMetrics } from '@/hooks/useMetrics';
import { Sparkline } from './Sparkline';
import { Skeleton } from './ui/skeleton';

const PULSE: { title: string; unit: Unit; max?: number; queries: Query[] }[] = [
  { title: 'CPU', unit: 'percent', max: 100, queries: [{ name: 'cpu.usage.percent', label: 'CPU' }] },
  { title: 'Memory', unit: 'percent', max: 100, queries: [{ name: 'memory.used.percent', label: 'memory' }] },
  { title: 'Load, 1 min', unit: 'number', queries: [{ name: 'load.1', label: 'load' }] },
];

function Pulse({ entityId, title, unit, max, queries }: (typeof PULSE)[number] & { entityId: string }) {
  const { data, error } = useMetrics(entityId, queries, '1h');
  const now = summary(data?.columns[0]?.values ?? []).now;
  return (
    <div className="min-w-0 px-4 py-3">
      <div className="flex items-baseline justify-between"><span className="text-xs text-muted">{title}</span><span className="text-lg font-semibold">{inUnit(now, unit)}</span></div>
      {data ? <Sparkline data={data} max={max} label={`${title} over the last hour, now ${inUnit(now, unit)}`} />
        : error ? <p className="h-10 text-xs text-muted">{error.message}</p> : <Skeleton className="h-10" />}
    </div>
  );
}

export function HubPulse({ entityId }: { entityId: string }) {
  return <div className="grid divide-line max-sm:divide-y sm:grid-cols-3 sm:divide-x">{PULSE.map((p) => <Pulse key={p.title} entityId={entityId} {...p} />)}</div>;
}
