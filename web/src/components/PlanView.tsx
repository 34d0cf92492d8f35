/* What a request would do, before it is done. */
import { TriangleAlert } from 'lucide-react';
import type { Plan } from '@/api/types';
import { NOTHING, words } from '@/lib/format';
import { Table, Td, Th, Tr } from './ui/table';

function containersOf(plan: Plan): string {
  const counts = new Map<string, number>();
  for (const c of plan.containers) counts.set(c.action, (counts.get(c.action) ?? 0) + 1);
  return [...counts].map(([action, n]) => `${action} ${n}`).join(', ') || 'none';
}

export function PlanView({ plan }: { plan: Plan }) {
  if (plan.action === 'nothing') return <p className="text-muted">Nothing would change.</p>;
  return (
    <div className="space-y-3">
      {plan.changes.length > 0 && (
        <div className="rounded-md border border-line">
          <Table>
            <thead><tr><Th>Field</Th><Th>Before</Th><Th>After</Th></tr></thead>
            <tbody>
              {plan.changes.map((c) => (
                <Tr key={c.field}>
                  <Td className="font-mono text-xs break-all">{c.field}</Td>
                  <Td className="font-mono text-xs break-all text-muted">{c.before ?? NOTHING}</Td>
                  <Td className="font-mono text-xs break-all">{c.after ?? 'removed'}</Td>
                </Tr>
              ))}
            </tbody>
          </Table>
        </div>
      )}
      <dl className="grid grid-cols-[auto_minmax(0,1fr)] gap-x-4 gap-y-1 text-sm">
        <dt className="text-muted">Containers</dt><dd>{containersOf(plan)}</dd>
        {plan.strategy.type && <><dt className="text-muted">Strategy</dt><dd>{words(plan.strategy.type)}{plan.strategy.reason ? `: ${plan.strategy.reason}` : ''}</dd></>}
        <dt className="text-muted">Gateway</dt><dd>{plan.gateway.reason}</dd>
        {plan.queue && <><dt className="text-muted">Queue</dt><dd>{plan.queue}</dd></>}
      </dl>
      {plan.notes.length > 0 && (
        <ul className="space-y-1 rounded-md bg-warn-soft px-3 py-2 text-warn">
          {plan.notes.map((n) => <li key={n} className="flex gap-2"><TriangleAlert aria-hidden className="mt-0.5 size-4 shrink-0" />{n}</li>)}
        </ul>
      )}
    </div>
  );
}
