import { ShieldCheck } from 'lucide-react';
import { Link } from 'react-router';
import type { Problem } from '@/api/types';
import { Ago } from './Ago';
import { Status } from './Status';

const target = (p: Problem): string | null => {
  if (!p.entityId) return null;
  if (p.entityType === 'node') return `/nodes/${p.entityId}`;
  if (p.entityType === 'service') return `/services/${p.entityId}`;
  return p.entityType === 'deployment' ? `/deployments/${p.entityId}` : null;
};

const RANK = { critical: 0, warning: 1, info: 2 };

export function Problems({ problems }: { problems: Problem[] }) {
  if (problems.length === 0) {
    return <p className="flex items-center gap-2 px-4 py-5 text-muted"><ShieldCheck aria-hidden className="size-4 text-ok" />Nothing is wrong.</p>;
  }
  return (
    <ul className="divide-y divide-line">
      {[...problems].sort((a, b) => RANK[a.severity] - RANK[b.severity]).map((p) => {
        const to = target(p);
        return (
          <li key={`${p.title}|${p.entityId ?? ''}`} className="px-4 py-2.5">
            <div className="flex flex-wrap items-center gap-x-2.5 gap-y-1">
              <Status state={p.severity} />
              {to ? <Link to={to} className="font-medium hover:underline">{p.title}</Link> : <span className="font-medium">{p.title}</span>}
            </div>
            <p className="mt-1 text-muted text-pretty">{p.detail}</p>
            <p className="mt-0.5 text-xs text-faint">began <Ago at={p.since} /></p>
          </li>
        );
      })}
    </ul>
  );
}
