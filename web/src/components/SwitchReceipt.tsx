/* What a switch cost, measured through the real route: figures before, during and after, and each probe as a point. */
import type { Deployment } from '@/api/types';
import { cn } from '@/lib/cn';
import { duration, NOTHING, number } from '@/lib/format';
import { Facts } from './Facts';
import { Status } from './Status';
import { Card, CardHeader } from './ui/card';
import { Table, Td, Th, Tr } from './ui/table';

export type Receipt = NonNullable<Deployment['receipt']>;
type Figures = NonNullable<NonNullable<Receipt['probes']>['before']>;
const PHASES = ['before', 'during', 'after'] as const;

interface Point { at: number; latency: number; failed: boolean; phase: number }

/* Points come as [ms, latency, failed, phase]. */
export function pointsOf(receipt: Receipt): Point[] {
  return (receipt.points ?? []).map(([at, latency, failed, phase]) => ({ at: Number(at), latency: Number(latency), failed: Number(failed) === 1, phase: Number(phase) }));
}

const WIDTH = 640;
const HEIGHT = 150;
const LEFT = 66;
const BOTTOM = 20;

function Chart({ points }: { points: Point[] }) {
  const end = Math.max(1, ...points.map((p) => p.at));
  const top = Math.max(1, ...points.filter((p) => !p.failed).map((p) => p.latency)) * 1.1;
  const x = (at: number) => LEFT + (at / end) * (WIDTH - LEFT - 8);
  const y = (latency: number) => 8 + (1 - Math.min(1, latency / top)) * (HEIGHT - BOTTOM - 8);
  const first = points.find((p) => p.phase === 1);
  const last = points.findLast((p) => p.phase === 1);
  const failed = points.filter((p) => p.failed).length;
  return (
    <figure className="px-4 pt-3">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} className="w-full" role="img" aria-label={`Latency of ${points.length} probes over ${duration(end)}, ${failed} failed`}>
        {first && last && <rect x={x(first.at) - 2} y={8} width={Math.max(4, x(last.at) - x(first.at) + 4)} height={HEIGHT - BOTTOM - 8} className="fill-accent/10" />}
        {[0, 0.5, 1].map((share) => (
          <g key={share}>
            <line x1={LEFT} x2={WIDTH - 8} y1={y(top * share)} y2={y(top * share)} className="stroke-line" />
            <text x={LEFT - 6} y={y(top * share) + 3} textAnchor="end" className="fill-faint text-[10px] max-sm:text-[17px]">{number(top * share, 1)} ms</text>
          </g>
        ))}
        {first && <text x={x(first.at)} y={HEIGHT - 6} className="fill-muted text-[10px] max-sm:text-[17px]">switch</text>}
        <text x={WIDTH - 8} y={HEIGHT - 6} textAnchor="end" className="fill-faint text-[10px] max-sm:text-[17px]">{duration(end)}</text>
        {points.map((p, i) => (p.failed
          ? <path key={i} d={`M${x(p.at) - 3} 10l6 6m0-6l-6 6`} className="stroke-bad" strokeWidth={1.6} />
          : <circle key={i} cx={x(p.at)} cy={y(p.latency)} r={1.8} className={cn(p.phase === 1 ? 'fill-accent' : 'fill-muted')} />))}
      </svg>
      <figcaption className="sr-only">Circles are answered probes, crosses failed ones; the shaded part is the switch.</figcaption>
    </figure>
  );
}

const ms = (value: number | null | undefined) => (value == null ? NOTHING : `${number(value, 1)} ms`);

function Row({ name, figures }: { name: string; figures: Figures | undefined }) {
  if (!figures || figures.sent === 0) return <Tr><Td>{name}</Td><Td colSpan={4} className="text-faint">nothing was measured</Td></Tr>;
  return (
    <Tr>
      <Td>{name}</Td><Td className="text-right">{figures.sent}</Td>
      <Td className={cn('text-right', figures.failed > 0 && 'font-medium text-bad')}>{figures.failed}</Td>
      <Td className="text-right">{ms(figures.p50)}</Td><Td className="text-right">{ms(figures.p99)}</Td>
    </Tr>
  );
}

export function SwitchReceipt({ receipt }: { receipt: Receipt }) {
  const points = pointsOf(receipt);
  const { bound, drain, probes } = receipt;
  const held = bound?.held;
  return (
    <Card aria-labelledby="t-receipt">
      <CardHeader
        id="t-receipt" title="Receipt of the switch" hint={receipt.strategy}
        actions={held !== undefined && <Status state={held ? 'success' : 'failed'} label={held ? 'bound held' : 'bound broken'} />}
      />
      {bound?.reason && <p className="mx-4 mt-3 rounded-md bg-bad-soft px-3 py-2 text-bad">{bound.reason}</p>}
      {points.length > 1 && <Chart points={points} />}
      {probes && (
        <Table>
          <thead><tr><Th>Probes</Th><Th className="text-right">Sent</Th><Th className="text-right">Failed</Th><Th className="text-right">p50</Th><Th className="text-right">p99</Th></tr></thead>
          <tbody>{PHASES.map((p) => <Row key={p} name={p} figures={probes[p]} />)}</tbody>
        </Table>
      )}
      <Facts facts={[
        ['Bound', bound && `at most ${bound.maxFailed ?? 0} failed, p99 at most ${number(bound.maxLatencyRatio ?? 3)} times that before`],
        ['Drain', drain?.durationMs != null && `${duration(drain.durationMs)}${drain.forced ? ', ended by its limit' : ''}`],
        ['Reloads', receipt.reloads === undefined ? null : receipt.reloads === 0 ? 'none' : `${receipt.reloads}, each closes idle connections of every service`],
      ]} />
    </Card>
  );
}
