/* Shapes what the metric query answers into the aligned columns that uPlot draws. Pure. */

export interface Series {
  tags: Record<string, string>;
  points: (number | null)[][]; // [ms, value]
}

export interface Column {
  label: string;
  values: (number | null)[];
}

export interface Frame {
  times: number[]; // seconds, ascending, without repeats
  columns: Column[];
}

export interface Line {
  label: string;
  series: Series;
}

export const RANGES = {
  '1h': { label: '1 hour', ms: 3_600_000, step: '15s' },
  '24h': { label: '24 hours', ms: 86_400_000, step: '5m' },
  '7d': { label: '7 days', ms: 604_800_000, step: '1h' },
  '30d': { label: '30 days', ms: 2_592_000_000, step: '6h' },
} as const;
export type Range = keyof typeof RANGES;

const UNIT_MS: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000 };

/* When the step ends in which this moment is: the hub's points are at multiples of the step. */
export function endOfStep(ms: number, step: string): number {
  const length = parseInt(step, 10) * (UNIT_MS[step.slice(-1)] ?? 1000);
  return Math.ceil(ms / length) * length;
}

/* The point of the step under way stands at the present, not in the future. */
export const notAfter = <S extends Series>(series: S, now: number): S =>
  ({ ...series, points: series.points.map(([ms, value]) => [ms == null ? null : Math.min(ms, now), value ?? null]) });

/* Lines with different times (another sampler, a gap) meet on the union of their times. */
export function frame(lines: Line[]): Frame {
  const all = new Set<number>();
  for (const { series } of lines) for (const [ms] of series.points) if (ms != null) all.add(ms);
  const maps = lines.map(({ series }) => new Map(series.points.map(([ms, value]) => [ms, value])));
  const sorted = [...all].sort((a, b) => a - b);
  const begin = sorted.findIndex((ms) => maps.some((at) => at.get(ms) != null)); // before it nothing was kept
  const times = begin < 0 ? [] : sorted.slice(begin);
  const columns = lines.map(({ label }, i) => ({ label, values: times.map((ms) => maps[i]?.get(ms) ?? null) }));
  return { times: times.map((ms) => ms / 1000), columns };
}

/* A live value after the last point; what has left the window falls off at the front. */
export function append(data: Frame, seconds: number, values: Record<string, number>, windowSeconds: number): Frame {
  const last = data.times[data.times.length - 1];
  if (last !== undefined && seconds <= last) return data;
  const keep = data.times.findIndex((t) => t >= seconds - windowSeconds);
  const from = keep < 0 ? data.times.length : keep;
  const known = new Set(data.columns.map((c) => c.label));
  const fresh = Object.keys(values).filter((label) => !known.has(label)).map((label) => ({ label, values: data.times.map(() => null) })); // its first sample
  return {
    times: [...data.times.slice(from), seconds],
    columns: [...data.columns, ...fresh].map((c) => ({ label: c.label, values: [...c.values.slice(from), values[c.label] ?? null] })),
  };
}

/*
 * A step without a sample between two with one is no outage: undefined lets the line go on there, null breaks it.
 * Longer holes stay holes.
 */
export function bridge(values: (number | null)[], most: number): (number | null | undefined)[] {
  const out: (number | null | undefined)[] = [...values];
  let lastKnown = -1;
  values.forEach((v, i) => {
    if (v == null) return;
    const hole = i - lastKnown - 1;
    if (lastKnown >= 0 && hole > 0 && hole <= most) out.fill(undefined, lastKnown + 1, i);
    lastKnown = i;
  });
  return out;
}

export interface Summary {
  now: number | null;
  min: number | null;
  max: number | null;
  avg: number | null;
}

export function summary(values: (number | null)[]): Summary {
  const known = values.filter((v): v is number => v != null && Number.isFinite(v));
  if (known.length === 0) return { now: null, min: null, max: null, avg: null };
  let min = Infinity;
  let max = -Infinity;
  let sum = 0;
  for (const v of known) {
    min = Math.min(min, v);
    max = Math.max(max, v);
    sum += v;
  }
  return { now: known[known.length - 1] ?? null, min, max, avg: sum / known.length };
}

/* What distinguishes one line from its neighbours: the tags, without those that all share. */
export function labelOf(tags: Record<string, string>, fallback: string): string {
  const parts = Object.values(tags).filter((v) => v !== '');
  return parts.length > 0 ? parts.join(' ') : fallback;
}

/* The busiest lines first, and no more than fit a legend. */
export function busiest(lines: Line[], most: number): Line[] {
  return [...lines]
    .map((line) => ({ line, top: summary(line.series.points.map(([, v]) => v ?? null)).max ?? -Infinity }))
    .sort((a, b) => b.top - a.top)
    .slice(0, most)
    .map(({ line }) => line);
}
