import { useEffect, useRef } from 'react';
import { cn } from '@/lib/cn';

export interface Line {
  key: number | string;
  text: string;
  note?: string;
  alert?: boolean;
}

/* A block of log lines that stays at its end while new ones come, unless somebody scrolled up to read. */
export function LogLines({ lines, label, empty, follow = true }: { lines: Line[]; label: string; empty: string; follow?: boolean }) {
  const box = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  useEffect(() => {
    const el = box.current;
    if (el && follow && atEnd.current) el.scrollTop = el.scrollHeight;
  }, [lines, follow]);
  const onScroll = () => {
    const el = box.current;
    if (el) atEnd.current = el.scrollHeight - el.scrollTop - el.clientHeight < 24;
  };
  return (
    <div ref={box} onScroll={onScroll} tabIndex={0} role="log" aria-live="off" aria-label={label} className="max-h-96 min-h-24 overflow-auto bg-canvas px-4 py-3 font-mono text-xs leading-5">
      {lines.length === 0 && <p className="text-muted">{empty}</p>}
      {lines.map((l) => (
        <div key={l.key} className="flex gap-3">
          {l.note && <span className="shrink-0 text-faint select-none">{l.note}</span>}
          {l.alert && <span className="shrink-0 text-bad select-none" title="stderr">err</span>}
          <span className={cn('min-w-0 break-words whitespace-pre-wrap', l.alert && 'text-bad')}>{l.text || ' '}</span>
        </div>
      ))}
    </div>
  );
}
