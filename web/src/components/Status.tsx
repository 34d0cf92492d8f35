/* A state as shape, word and colour: never by colour alone. */
import { Ban, CircleAlert, CircleCheck, CircleDashed, CircleDot, CirclePause, CircleX, LoaderCircle, RotateCcw, Wrench, type LucideIcon } from 'lucide-react';
import { cn } from '@/lib/cn';
import { words } from '@/lib/format';

export type Tone = 'ok' | 'warn' | 'bad' | 'busy' | 'idle';

const TONES: Record<Tone, string> = {
  ok: 'text-ok bg-ok-soft',
  warn: 'text-warn bg-warn-soft',
  bad: 'text-bad bg-bad-soft',
  busy: 'text-busy bg-busy-soft',
  idle: 'text-muted bg-hover',
};

const STATES: Record<string, [Tone, LucideIcon]> = {
  active: ['ok', CircleCheck],
  maintenance: ['warn', Wrench],
  degraded: ['warn', CircleAlert],
  offline: ['idle', CircleDashed],
  running: ['ok', CircleDot],
  stopped: ['idle', CirclePause],
  failed: ['bad', CircleX],
  deploying: ['busy', LoaderCircle],
  updating: ['busy', LoaderCircle],
  healthy: ['ok', CircleCheck],
  unhealthy: ['bad', CircleX],
  unknown: ['idle', CircleDashed],
  initiated: ['busy', LoaderCircle],
  building: ['busy', LoaderCircle],
  testing: ['busy', LoaderCircle],
  completed: ['ok', CircleCheck],
  rolled_back: ['warn', RotateCcw],
  cancelled: ['idle', Ban],
  superseded: ['idle', Ban],
  success: ['ok', CircleCheck],
  skipped: ['idle', CircleDashed],
  warning: ['warn', CircleAlert],
  critical: ['bad', CircleX],
  error: ['bad', CircleX],
  info: ['busy', CircleAlert],
};

const fallback: [Tone, LucideIcon] = ['idle', CircleDashed];
export const toneOf = (state: string): Tone => (STATES[state] ?? fallback)[0];

export function StatusIcon({ state, className }: { state: string; className?: string }) {
  const [tone, Icon] = STATES[state] ?? fallback;
  return <Icon aria-hidden className={cn('size-3.5 shrink-0', TONES[tone].split(' ')[0], Icon === LoaderCircle && 'animate-spin', className)} />;
}

interface Props {
  state: string;
  label?: string;
  testId?: string;
  live?: boolean; // announced when it changes
  className?: string;
}

export function Status({ state, label, testId, live, className }: Props) {
  const [tone, Icon] = STATES[state] ?? fallback;
  return (
    <span className={cn('inline-flex items-center gap-1 rounded-full px-2 py-0.5 text-xs font-medium whitespace-nowrap', TONES[tone], className)}>
      <Icon aria-hidden className={cn('size-3 shrink-0', Icon === LoaderCircle && 'animate-spin')} />
      <span data-testid={testId} {...(live ? { role: 'status', 'aria-live': 'polite' as const } : {})}>{label ?? words(state)}</span>
    </span>
  );
}
