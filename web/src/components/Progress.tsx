import { cn } from '@/lib/cn';

export function Progress({ value, label, tone = 'accent' }: { value: number; label: string; tone?: 'accent' | 'ok' | 'bad' }) {
  const shown = Math.min(100, Math.max(0, value));
  return (
    <div role="progressbar" aria-label={label} aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.round(shown)} className="h-1.5 overflow-hidden rounded-full bg-hover">
      <div className={cn('h-full rounded-full transition-[width] duration-300', { accent: 'bg-accent', ok: 'bg-ok', bad: 'bg-bad' }[tone])} style={{ width: `${shown}%` }} />
    </div>
  );
}
