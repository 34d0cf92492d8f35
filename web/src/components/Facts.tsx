import type { ReactNode } from 'react';
import { NOTHING } from '@/lib/format';

/* Name and value pairs; what is not known is a dash, not a hole. */
export function Facts({ facts }: { facts: [name: string, value: ReactNode][] }) {
  return (
    <dl className="grid grid-cols-[auto_minmax(0,1fr)] gap-x-5 gap-y-1.5 px-4 py-3">
      {facts.map(([name, value]) => (
        <div key={name} className="contents">
          <dt className="text-muted">{name}</dt>
          <dd className="min-w-0 break-words">{value == null || value === '' || value === false ? <span className="text-faint">{NOTHING}</span> : value}</dd>
        </div>
      ))}
    </dl>
  );
}
