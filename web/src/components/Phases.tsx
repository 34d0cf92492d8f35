import type { Deployment } from '@/api/types';
import { cn } from '@/lib/cn';
import { duration, words } from '@/lib/format';
import { StatusIcon } from './Status';

/* The steps that ended, each with its share of the time, and the one under way. */
export function Phases({ deployment: d }: { deployment: Deployment }) {
  const { phases } = d.timing;
  const longest = Math.max(1, ...phases.map((p) => p.duration));
  const { step } = d.status;
  const under = step && !phases.some((p) => p.name === step) ? step : null;
  if (phases.length === 0 && !under) return <p className="px-4 py-3 text-muted">No step has ended yet.</p>;
  return (
    <ol className="px-4 py-3">
      {phases.map((p, i) => (
        <li key={`${i}${p.name}`} className="grid grid-cols-[16px_88px_minmax(0,1fr)_64px] items-center gap-2 py-1">
          <StatusIcon state={p.status} />
          <span>{words(p.name)}<span className="sr-only">, {p.status}</span></span>
          <span aria-hidden className="h-1.5 rounded-full bg-hover">
            <span className={cn('block h-full rounded-full', p.status === 'failed' ? 'bg-bad' : 'bg-accent/60')} style={{ width: `${p.status === 'skipped' ? 0 : Math.max(1, (p.duration / longest) * 100)}%` }} />
          </span>
          <span className="text-right text-xs text-muted">{p.status === 'skipped' ? 'skipped' : duration(p.duration)}</span>
        </li>
      ))}
      {under && (
        <li className="grid grid-cols-[16px_minmax(0,1fr)] items-center gap-2 py-1 font-medium"><StatusIcon state="deploying" /><span>{words(under)}…</span></li>
      )}
    </ol>
  );
}
