/* One uPlot, told in React. Colours come from the theme; the legend below reads out the point under the cursor. */
import { useEffect, useMemo, useRef, useState } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { inUnit, type Unit } from '@/lib/format';
import { bridge, summary, type Frame } from '@/lib/series';
import { useTheme } from '@/state/theme';

interface Props {
  title: string;
  data: Frame;
  unit: Unit;
  from: number; // seconds
  to: number;
  max?: number;
  height?: number;
}

/* Lines differ in dash as well as in colour. */
const DASHES = [[], [6, 3], [2, 2], [8, 3, 2, 3], [4, 4], [1, 3]];
// 1, 2, 4 … so that the ticks of sizes are round numbers of KiB, MiB, GiB.
const BINARY_STEPS = Array.from({ length: 52 }, (_, i) => 2 ** i);
const colour = (i: number) => `var(--series-${(i % 6) + 1})`;

/* 2.00 GiB is 2 GiB on an axis. */
const tick = (value: number, unit: Unit) => inUnit(value, unit).replace(/\.0+(?=\D|$)/, '');

function options({ unit, max, height = 168 }: Props, labels: string[], width: number, onIndex: (i: number | null) => void): uPlot.Options {
  const style = getComputedStyle(document.documentElement);
  const role = (name: string) => style.getPropertyValue(name).trim();
  const axis = {
    stroke: role('--faint'),
    font: `11px ${getComputedStyle(document.body).fontFamily}`,
    grid: { stroke: role('--line'), width: 1 },
    ticks: { show: false },
  };
  const incrs = unit.startsWith('bytes') ? BINARY_STEPS : undefined;
  return {
    width, height,
    padding: [8, 8, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false } },
    scales: {
      x: { time: true },
      y: { range: (_u, low, high) => [Math.min(0, low ?? 0), max ?? Math.max((high ?? 0) * 1.1, unit === 'percent' ? 5 : 1)] },
    },
    axes: [
      { ...axis, size: 28, space: 64 },
      { ...axis, size: 66, space: 32, ...(incrs && { incrs }), values: (_u, ticks) => ticks.map((t) => tick(t, unit)), gap: 6 },
    ],
    series: [
      {},
      ...labels.map((label, i) => ({
        label,
        stroke: role(`--series-${(i % 6) + 1}`),
        width: 1.5,
        dash: DASHES[i % DASHES.length],
        fill: labels.length === 1 ? `${role('--series-1')}1f` : undefined,
        points: { show: (u: uPlot) => u.data[0].length === 1, size: 5 }, // one sample makes no line
      })),
    ],
    hooks: { setCursor: [(u) => onIndex(u.cursor.idx ?? null)] },
  };
}

function timeFormat(seconds: number): uPlot.Axis.DynamicValues {
  const day = seconds > 2 * 86400;
  const format = new Intl.DateTimeFormat(undefined, day
    ? { month: 'short', day: 'numeric' }
    : { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
  return (_u, ticks) => ticks.map((t) => format.format(t * 1000));
}

export function Chart(props: Props) {
  const { title, data, unit, from, to } = props;
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [index, setIndex] = useState<number | null>(null);
  const theme = useTheme((s) => s.shown);
  const labels = data.columns.map((c) => c.label);
  const shape = `${labels.join('\n')}|${unit}|${props.max}|${props.height}|${theme}|${Math.round(to - from)}`;
  const latest = useRef(props);
  useEffect(() => {
    latest.current = props;
  });

  useEffect(() => {
    const host = box.current;
    if (!host) return;
    const p = latest.current;
    const made = options(p, p.data.columns.map((c) => c.label), host.clientWidth || 300, setIndex);
    const [x] = made.axes ?? [];
    if (x) x.values = timeFormat(p.to - p.from);
    const u = new uPlot(made, aligned(p.data), host);
    u.setScale('x', { min: p.from, max: p.to });
    plot.current = u;
    const observer = new ResizeObserver(() => u.setSize({ width: host.clientWidth, height: u.height }));
    observer.observe(host);
    return () => {
      observer.disconnect();
      u.destroy();
      plot.current = null;
    };
  }, [shape]);

  useEffect(() => {
    plot.current?.setData(aligned(data), false);
    plot.current?.setScale('x', { min: from, max: to });
  }, [data, from, to]);

  const facts = useMemo(() => data.columns.map((c) => summary(c.values)), [data]);
  const spoken = data.columns
    .map((c, i) => `${c.label}: now ${inUnit(facts[i]?.now, unit)}, least ${inUnit(facts[i]?.min, unit)}, most ${inUnit(facts[i]?.max, unit)}`)
    .join('; ');
  const at = index == null ? undefined : data.times[index];
  return (
    <figure>
      <div ref={box} role="img" aria-label={`${title}. ${spoken}`} className="w-full" />
      <figcaption className="mt-1 flex flex-wrap gap-x-4 gap-y-0.5 px-1 text-xs text-muted">
        {data.columns.map((c, i) => (
          <span key={c.label} className="inline-flex items-center gap-1.5">
            <svg aria-hidden width="14" height="4"><line x1="0" x2="14" y1="2" y2="2" strokeWidth="2" stroke={colour(i)} strokeDasharray={DASHES[i % DASHES.length]?.join(' ')} /></svg>
            <span className="max-w-40 truncate">{c.label}</span>
            <span className="font-medium text-ink">{inUnit(index == null ? facts[i]?.now : c.values[index], unit)}</span>
          </span>
        ))}
        <span className="ml-auto text-faint">{at === undefined ? '' : new Date(at * 1000).toLocaleString(undefined, { hourCycle: 'h23' })}</span>
      </figcaption>
    </figure>
  );
}

const BRIDGED = 3; // steps
const aligned = (data: Frame): uPlot.AlignedData => [data.times, ...data.columns.map((c) => bridge(c.values, BRIDGED))];
