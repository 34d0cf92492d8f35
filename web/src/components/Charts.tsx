import { useState } from 'react';
import type { ChartSpec } from '@/lib/charts';
import { RANGES, type Range } from '@/lib/series';
import { MetricChart } from './MetricChart';
import { Segmented } from './ui/segmented';

const OPTIONS = (Object.keys(RANGES) as Range[]).map((value) => ({ value, label: value, title: RANGES[value].label }));

/* A grid of charts under one range. */
export function Charts({ specs, entityId, title = 'Metrics' }: { specs: ChartSpec[]; entityId: string; title?: string }) {
  const [range, setRange] = useState<Range>('1h');
  return (
    <section aria-label={title}>
      <div className="mb-3 flex items-center justify-between gap-3">
        <h2 className="text-sm font-semibold">{title}</h2>
        <Segmented label="Time range" value={range} options={OPTIONS} onChange={setRange} />
      </div>
      <div className="grid gap-3 lg:grid-cols-2">
        {specs.map((spec) => <MetricChart key={spec.title} spec={spec} entityId={entityId} range={range} />)}
      </div>
    </section>
  );
}
