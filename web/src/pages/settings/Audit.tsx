import { ScrollText, ShieldCheck } from 'lucide-react';
import { useCallback, useState } from 'react';
import { asHubError, type HubError } from '@/api/errors';
import { hub } from '@/api/hub';
import type { AuditEntry, AuditVerification } from '@/api/types';
import { Empty, Failed } from '@/components/States';
import { Status } from '@/components/Status';
import { Button } from '@/components/ui/button';
import { Card, CardHeader } from '@/components/ui/card';
import { SkeletonRows } from '@/components/ui/skeleton';
import { useAction } from '@/hooks/useAction';
import { useResource } from '@/hooks/useResource';
import { dateTime, plural } from '@/lib/format';

const OUTCOME = { success: ['success', 'done'], denied: ['warning', 'denied'], failed: ['failed', 'failed'] } as const;

function Entry({ entry: e }: { entry: AuditEntry }) {
  const [state, label] = OUTCOME[e.outcome];
  const who = e.actor.name ?? e.actor.kind;
  return (
    <li>
      <details className="group">
        <summary className="flex flex-wrap items-center gap-x-3 gap-y-1 px-4 py-2 hover:bg-hover/60 [&::-webkit-details-marker]:hidden">
          <span className="min-w-8 font-mono text-xs text-faint">{e.seq}</span>
          <span className="w-40 text-xs text-muted">{dateTime(e.at)}</span>
          <span className="min-w-0 flex-1 basis-48"><strong className="font-medium">{who}</strong> <span className="text-muted">{e.operation}{e.entityType ? ` · ${e.entityType}` : ''}</span></span>
          <span className="font-mono text-xs text-faint">{e.address}</span>
          <Status state={state} label={label} />
        </summary>
        <dl className="grid gap-3 border-t border-line bg-canvas px-4 py-3 text-xs md:grid-cols-2">
          <div><dt className="text-muted">Entity</dt><dd className="font-mono break-all">{e.entityId ?? 'none'}</dd></div>
          <div><dt className="text-muted">Request</dt><dd className="font-mono break-all">{e.requestId ?? 'none'}</dd></div>
          {(['before', 'after'] as const).map((side) => (
            <div key={side} className="min-w-0"><dt className="text-muted">{side === 'before' ? 'Before' : 'After'}</dt>
              <dd><pre tabIndex={0} className="mt-1 max-h-60 overflow-auto rounded-md border border-line bg-surface p-2 font-mono text-2xs">{e[side] ? JSON.stringify(e[side], null, 2) : 'nothing'}</pre></dd></div>
          ))}
          <div className="md:col-span-2"><dt className="text-muted">Hash</dt><dd className="font-mono break-all">{e.hash}</dd></div>
        </dl>
      </details>
    </li>
  );
}

function Verdict({ verdict }: { verdict: AuditVerification }) {
  return (
    <p role="status" className={verdict.ok ? 'border-b border-line bg-ok-soft px-4 py-2 text-ok' : 'border-b border-line bg-bad-soft px-4 py-2 text-bad'}>
      {verdict.ok ? `The chain is whole: ${plural(verdict.checked, 'entry', 'entries')} checked.`
        : `The chain breaks at entry ${verdict.firstBad ?? '?'}. ${verdict.reason ?? ''}`}
    </p>
  );
}

export function Audit() {
  const { data: first, error, reload } = useResource('audit', (signal) => hub.audit(undefined, signal));
  const [more, setMore] = useState<{ items: AuditEntry[]; next: string | null; of: unknown } | null>(null);
  const [failed, setFailed] = useState<HubError | null>(null);
  const [verdict, setVerdict] = useState<AuditVerification | null>(null);
  const verify = useCallback(async () => {
    setVerdict(await hub.verifyAudit());
    return undefined;
  }, []);
  const { start, busy } = useAction(verify);
  const extra = more?.of === first ? more : null; // pages belong to the first page that they followed
  const next = extra ? extra.next : (first?.next ?? null);
  const loadMore = async () => {
    if (!next) return;
    try {
      const page = await hub.audit(next);
      setMore({ items: [...(extra?.items ?? []), ...page.items], next: page.next, of: first });
      setFailed(null);
    } catch (thrown) {
      setFailed(asHubError(thrown));
    }
  };
  const entries = [...(first?.items ?? []), ...(extra?.items ?? [])];
  return (
    <Card aria-labelledby="t-audit" className="overflow-hidden">
      <CardHeader id="t-audit" title="Audit" hint="Every write, each entry chained to the one before by hash"
        actions={<><Button size="sm" onClick={reload}>Refresh</Button><Button size="sm" busy={busy} onClick={() => void start()}><ShieldCheck aria-hidden />Verify the chain</Button></>} />
      {verdict && <Verdict verdict={verdict} />}
      {!first ? (error ? <Failed error={error} retry={reload} what="The audit" /> : <SkeletonRows rows={5} />)
        : entries.length === 0 ? <Empty icon={ScrollText} title="Nothing has been written yet" />
        : <ul className="divide-y divide-line">{entries.map((e) => <Entry key={e.seq} entry={e} />)}</ul>}
      {failed && <p role="alert" className="px-4 py-2 text-bad">{failed.message}</p>}
      {next && <p className="border-t border-line py-2 text-center"><Button size="sm" variant="ghost" onClick={() => void loadMore()}>Older entries</Button></p>}
    </Card>
  );
}
