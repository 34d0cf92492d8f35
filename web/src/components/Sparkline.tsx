import { bridge, type Frame } from '@/lib/series';

interface Props {
  data: Frame;
  label: string;
  max?: number;
}

const W = 200;
const H = 40;

/* The first column as a small filled line; gaps stay gaps. Stretches to its box. */
export function Sparkline({ data, label, max }: Props) {
  const values = bridge(data.columns[0]?.values ?? [], 3);
  const first = data.times[0] ?? 0;
  const span = Math.max(1, (data.times.at(-1) ?? 0) - first);
  const top = max ?? Math.max(1, ...values.map((v) => v ?? 0)) * 1.1;
  const point = (v: number, i: number) => `${((((data.times[i] ?? 0) - first) / span) * W).toFixed(1)} ${(H - (v / top) * (H - 2)).toFixed(1)}`;
  const runs: string[][] = [[]];
  values.forEach((v, i) => {
    if (v === null) runs.push([]);
    else if (v !== undefined) runs.at(-1)?.push(point(v, i));
  });
  const drawn = runs.filter((r) => r.length > 1);
  return (
    <svg viewBox={`0 0 ${W} ${H}`} preserveAspectRatio="none" role="img" aria-label={label} className="h-10 w-full overflow-visible text-accent">
      {drawn.map((run) => {
        const [start = '0 0'] = run;
        const end = run.at(-1) ?? start;
        return (
          <g key={start}>
            <path d={`M${start.split(' ')[0]} ${H} L${run.join(' L')} L${end.split(' ')[0]} ${H} Z`} fill="currentColor" opacity="0.1" />
            <path d={`M${run.join(' L')}`} fill="none" stroke="currentColor" strokeWidth="1.5" vectorEffect="non-scaling-stroke" strokeLinejoin="round" />
          </g>
        );
      })}
    </svg>
  );
}
