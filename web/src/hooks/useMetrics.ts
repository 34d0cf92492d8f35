import { useEffect, useMemo, useState } from 'react';
import { hub } from '@/api/hub';
import type { Query } from '@/lib/charts';
import { append, busiest, endOfStep, frame, labelOf, notAfter, RANGES, type Frame, type Line, type Range } from '@/lib/series';
import { onSample } from '@/state/samples';
import { useResource } from './useResource';

const MOST_LINES = 6;
const SHORTEST_MS = 300_000;
const RATE_STEP = '30s'; // a rate needs two samples in its step
const REFRESH: Record<Range, number> = { '1h': 30_000, '24h': 60_000, '7d': 300_000, '30d': 300_000 };

async function ask(entityId: string, query: Query, range: Range, to: number, signal: AbortSignal): Promise<Line[]> {
  const { ms, step } = RANGES[range];
  const fn = query.fn ?? 'avg';
  const wide = fn === 'rate' && range === '1h' ? RATE_STEP : step;
  const end = endOfStep(to, wide); // the step under way counts too: a young hub has no other
  const { series } = await hub.queryMetric({ name: query.name, entity_id: entityId, from: String(to - ms), to: String(end), step: wide, fn }, signal);
  return series.filter((s) => !query.except || s.tags[query.each ?? ''] !== query.except).map((s) => notAfter(s, to)).map((s) => {
    const tag = query.each ? s.tags[query.each] : undefined;
    const own = tag ?? labelOf({}, query.label || query.name);
    return { label: tag && query.label ? `${query.label} ${own}` : own, series: s };
  });
}

/* Named lines stay in their order; of many alike, the busiest are shown. */
const chosen = (queries: Query[], lines: Line[]) => (queries.some((q) => q.each) ? busiest(lines, MOST_LINES) : lines);

/* The lines of one chart over a range; in the shortest range plain gauges grow with each live sample. */
export function useMetrics(entityId: string | undefined, queries: Query[], range: Range) {
  const tick = useTick(REFRESH[range]);
  const names = queries.map((q) => `${q.name}:${q.fn ?? ''}`).join(',');
  const base = useResource(entityId ? `${entityId}|${range}|${names}` : null, async (signal) => {
    const to = Date.now();
    const lines = await Promise.all(queries.map((q) => ask(entityId ?? '', q, range, to, signal)));
    return { to, data: frame(chosen(queries, lines.flat())) };
  });
  const { reload } = base;
  useEffect(() => {
    if (tick > 0) reload();
  }, [tick, reload]);
  const live = useLiveFrame(entityId, queries, range, base.data?.data);
  const young = base.data?.data.times.length === 0 && range === '1h';
  useEffect(() => (entityId && young ? onSample(entityId, reload) : undefined), [entityId, young, reload]); // a first sample is worth a new look
  const to = Math.max(base.data?.to ?? 0, (live?.times.at(-1) ?? 0) * 1000);
  const first = (live?.times[0] ?? 0) * 1000;
  const from = Math.max(to - RANGES[range].ms, Math.min(first, to - SHORTEST_MS)); // a young hub shows what it has
  return { ...base, data: live, from: from / 1000, to: to / 1000 };
}

function useLiveFrame(entityId: string | undefined, queries: Query[], range: Range, base: Frame | undefined): Frame | undefined {
  const [grown, setGrown] = useState<{ base: Frame; data: Frame } | null>(null);
  const gauges = useMemo(() => queries.filter((q) => !q.each && q.fn !== 'rate'), [queries]);
  const plain = gauges.length === queries.length;
  useEffect(() => {
    if (!entityId || !base || !plain || range !== '1h') return;
    return onSample(entityId, ({ at, values }) => {
      const mine: Record<string, number> = {};
      for (const q of gauges) {
        const value = values[q.name];
        if (value !== undefined) mine[q.label] = value;
      }
      if (Object.keys(mine).length === 0) return;
      setGrown((g) => ({ base, data: append(g?.base === base ? g.data : base, at / 1000, mine, RANGES[range].ms / 1000) }));
    });
  }, [entityId, base, gauges, plain, range]);
  return grown && grown.base === base ? grown.data : base;
}

/* Counts up while the page can be seen. */
function useTick(ms: number): number {
  const [tick, setTick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => {
      if (document.visibilityState === 'visible') setTick((t) => t + 1);
    }, ms);
    return () => clearInterval(timer);
  }, [ms]);
  return tick;
}
