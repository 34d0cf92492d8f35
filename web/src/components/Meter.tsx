import { cn } from '@/lib/cn';
import { percent } from '@/lib/format';

interface Props {
  label: string;
  value: number | undefined; // percent
  detail?: string;
  warnAt?: number;
}

/* A share of something limited; the number stands beside the bar, so colour only underlines it. */
export function Meter({ label, value, detail, warnAt = 85 }: Props) {
  const known = value !== undefined && Number.isFinite(value);
  const shown = known ? Math.min(100, Math.max(0, value)) : 0;
  return (
    <div className="min-w-0">
      <div className="flex items-baseline justify-between gap-2 text-xs">
        <span className="text-muted">{label}</span>
        <span className="font-medium">{percent(value)}{detail && <span className="ml-1 font-normal text-faint">{detail}</span>}</span>
      </div>
      <div
        role="meter" aria-label={label} aria-valuemin={0} aria-valuemax={100} aria-valuenow={known ? Math.round(shown) : undefined}
        aria-valuetext={known ? percent(value) : 'not known'} className="mt-1 h-1.5 overflow-hidden rounded-full bg-hover"
      >
        <div className={cn('h-full rounded-full transition-[width] duration-500', shown >= 95 ? 'bg-bad' : shown >= warnAt ? 'bg-warn' : 'bg-accent')} style={{ width: `${shown}%` }} />
      </div>
    </div>
  );
}
