import { KeyRound, Plus } from 'lucide-react';
import { useCallback, useState, type FormEvent } from 'react';
import { fieldErrors } from '@/api/errors';
import { hub } from '@/api/hub';
import type { ApiKey, KeyCreated, Role } from '@/api/types';
import { Ago } from '@/components/Ago';
import { ConfirmByName } from '@/components/ConfirmByName';
import { CopyButton } from '@/components/CopyButton';
import { Empty, Failed } from '@/components/States';
import { Status } from '@/components/Status';
import { Button } from '@/components/ui/button';
import { Card, CardHeader } from '@/components/ui/card';
import { Dialog } from '@/components/ui/dialog';
import { Field, Input, Select } from '@/components/ui/field';
import { SkeletonRows } from '@/components/ui/skeleton';
import { Table, Td, Th, Tr } from '@/components/ui/table';
import { useAction } from '@/hooks/useAction';
import { useResource } from '@/hooks/useResource';
import { dateTime, NOTHING } from '@/lib/format';

const DAY = 86_400_000;
const LIFETIMES: [label: string, days: number][] = [['90 days', 90], ['1 year', 365], ['30 days', 30], ['never', 0]];

function stateOf(key: ApiKey): [state: string, label: string] {
  if (key.revokedAt) return ['stopped', 'revoked'];
  if (key.expiresAt && Date.parse(key.expiresAt) < Date.now()) return ['stopped', 'expired'];
  return ['active', 'works'];
}

/* The secret is on the screen until the dialog is closed, and nowhere after that. */
function Secret({ created, onClose }: { created: KeyCreated; onClose: () => void }) {
  return (
    <div>
      <p className="text-muted">This is the only time that the secret of <strong className="text-ink">{created.key.name}</strong> is shown. Keep it somewhere safe now.</p>
      <div className="mt-3 flex items-center gap-2 rounded-md border border-strong bg-canvas p-2">
        <code className="min-w-0 flex-1 font-mono text-xs break-all">{created.secret}</code><CopyButton text={created.secret} label="Copy the secret" quiet />
      </div>
      <div className="mt-5 flex justify-end"><Button variant="primary" onClick={onClose}>I have kept it</Button></div>
    </div>
  );
}

function NewKey({ onDone, onClose }: { onDone: () => void; onClose: () => void }) {
  const [name, setName] = useState('');
  const [role, setRole] = useState<Role>('viewer');
  const [days, setDays] = useState(90);
  const [created, setCreated] = useState<KeyCreated | null>(null);
  const create = useCallback(async () => {
    const expiresAt = days > 0 ? { expiresAt: new Date(Date.now() + days * DAY).toISOString() } : {};
    setCreated(await hub.createKey({ name: name.trim(), role, ...expiresAt }));
    onDone();
    return undefined;
  }, [name, role, days, onDone]);
  const { start, busy, error } = useAction(create, { quietError: true });
  const fields = fieldErrors(error);
  if (created) return <Secret created={created} onClose={onClose} />;
  const submit = (e: FormEvent) => {
    e.preventDefault();
    void start();
  };
  return (
    <form onSubmit={submit} className="space-y-4">
      {error && Object.keys(fields).length === 0 && <p role="alert" className="rounded-md bg-bad-soft px-3 py-2 text-bad">{error.message}</p>}
      <Field label="What it is for" error={fields['/name']}>{(p) => <Input {...p} required maxLength={100} autoFocus value={name} onChange={(e) => setName(e.target.value)} placeholder="laptop" />}</Field>
      <div className="grid gap-4 sm:grid-cols-2">
        <Field label="Role" error={fields['/role']} hint="The least that is enough.">
          {(p) => <Select {...p} value={role} onChange={(e) => setRole(e.target.value as Role)}><option value="viewer">viewer: look</option><option value="operator">operator: look and change</option><option value="admin">admin: keys and settings too</option></Select>}
        </Field>
        <Field label="Expires after" error={fields['/expiresAt']}>
          {(p) => <Select {...p} value={days} onChange={(e) => setDays(Number(e.target.value))}>{LIFETIMES.map(([l, d]) => <option key={d} value={d}>{l}</option>)}</Select>}
        </Field>
      </div>
      <div className="flex justify-end gap-2"><Button onClick={onClose}>Cancel</Button><Button type="submit" variant="primary" busy={busy} disabled={!name.trim()}>Make key</Button></div>
    </form>
  );
}

function Revoke({ target, onClose, onDone }: { target: ApiKey; onClose: () => void; onDone: () => void }) {
  const revoke = useCallback(async () => {
    await hub.revokeKey(target.id);
    onDone();
    onClose();
    return `The key ${target.name} works no more.`;
  }, [target, onDone, onClose]);
  const { start, busy } = useAction(revoke);
  return (
    <ConfirmByName open onClose={onClose} title={`Revoke ${target.name}?`} name={target.name} action="Revoke key" busy={busy} onConfirm={() => void start()}>
      <p>The key, and every session and token that was opened with it, stops working at once.</p>
    </ConfirmByName>
  );
}

export function Keys() {
  const { data: keys, error, reload } = useResource('keys', (signal) => hub.keys(signal));
  const [making, setMaking] = useState(false);
  const [revoking, setRevoking] = useState<ApiKey | null>(null);
  return (
    <Card aria-labelledby="t-keys">
      <CardHeader id="t-keys" title="API keys" hint="For the command line, scripts and people" actions={<Button size="sm" onClick={() => setMaking(true)}><Plus aria-hidden />New key</Button>} />
      {!keys ? (error ? <Failed error={error} retry={reload} what="The keys" /> : <SkeletonRows rows={3} />)
        : keys.length === 0 ? <Empty icon={KeyRound} title="No API keys" />
        : (
          <Table>
            <thead><tr><Th>Name</Th><Th className="max-md:hidden">Begins with</Th><Th className="max-md:hidden">Role</Th><Th>State</Th><Th className="max-md:hidden">Last used</Th><Th className="max-md:hidden">Expires</Th><Th><span className="sr-only">Actions</span></Th></tr></thead>
            <tbody>
              {keys.map((k) => {
                const [state, label] = stateOf(k);
                return (
                  <Tr key={k.id} className={k.revokedAt ? 'text-muted' : undefined}>
                    <Td className="font-medium break-words">{k.name}<span className="block font-normal text-muted md:hidden">{k.role}</span></Td>
                    <Td className="font-mono text-xs max-md:hidden">{k.prefix}…</Td>
                    <Td className="max-md:hidden">{k.role}</Td>
                    <Td><Status state={state} label={label} /></Td>
                    <Td className="whitespace-nowrap text-muted max-md:hidden"><Ago at={k.lastUsedAt} /></Td>
                    <Td className="whitespace-nowrap text-muted max-md:hidden">{k.expiresAt ? dateTime(k.expiresAt) : NOTHING}</Td>
                    <Td className="text-right">{!k.revokedAt && <Button size="sm" variant="danger" aria-label={`Revoke ${k.name}`} onClick={() => setRevoking(k)}>Revoke</Button>}</Td>
                  </Tr>
                );
              })}
            </tbody>
          </Table>
        )}
      <Dialog open={making} onClose={() => setMaking(false)} title="New API key"><NewKey onDone={reload} onClose={() => setMaking(false)} /></Dialog>
      {revoking && <Revoke target={revoking} onDone={reload} onClose={() => setRevoking(null)} />}
    </Card>
  );
}
