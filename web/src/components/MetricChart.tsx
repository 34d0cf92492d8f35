import type { ChartSpec } from '@/lib/charts';
import type { Range } from '@/lib/series';
import { useMetrics } from '@/hooks/useMetrics';
import { useSeen } from '@/hooks/useSeen';
import { Chart } from './Chart';
import { Button } from './ui/button';
import { Skeleton } from './ui/skeleton';

export function MetricChart({ spec, entityId, range }: { spec: ChartSpec; entityId: string; range: Range }) {
  const [ref, seen] = useSeen<HTMLElement>();
  const { data, error, from, to, reload } = useMetrics(seen ? entityId : undefined, spec.queries, range);
  const bare = data && data.times.length === 0;
  if (spec.optional && data?.columns.every((c) => c.values.every((v) => !v))) return null;
  return (
    <section ref={ref} className="card min-w-0 p-3" aria-label={spec.title}>
      <h3 className="mb-2 px-1 text-xs font-semibold">{spec.title}</h3>
      {!data && !error && <Skeleton className="h-48" />}
      {!data && error && (
        <div role="alert" className="grid h-48 place-content-center justify-items-center gap-2 text-center text-muted">
          {error.message}<Button size="sm" onClick={reload}>Try again</Button>
        </div>
      )}
      {bare && <p className="grid h-48 place-content-center text-muted">No samples in this range yet.</p>}
      {data && !bare && <Chart title={spec.title} data={data} unit={spec.unit} max={spec.max} from={from} to={to} />}
    </section>
  );
}
