import { LockKeyhole, Plus, Trash2 } from 'lucide-react';
import { useCallback, useState, type FormEvent } from 'react';
import { fieldErrors } from '@/api/errors';
import { hub } from '@/api/hub';
import type { Secret } from '@/api/types';
import { Ago } from '@/components/Ago';
import { ConfirmByName } from '@/components/ConfirmByName';
import { Empty, Failed } from '@/components/States';
import { Button } from '@/components/ui/button';
import { Card, CardHeader } from '@/components/ui/card';
import { Dialog } from '@/components/ui/dialog';
import { Field, Input } from '@/components/ui/field';
import { SkeletonRows } from '@/components/ui/skeleton';
import { Table, Td, Th, Tr } from '@/components/ui/table';
import { useAction } from '@/hooks/useAction';
import { useResource } from '@/hooks/useResource';
import { useMay } from '@/state/session';

function SetForm({ name: given, onDone }: { name: string; onDone: () => void }) {
  const [name, setName] = useState(given);
  const [value, setValue] = useState('');
  const set = useCallback(async () => {
    await hub.setSecret(name.trim(), value);
    onDone();
    return `${name.trim()} is set. Services get it with their next deployment.`;
  }, [name, value, onDone]);
  const { start, busy, error } = useAction(set, { quietError: true });
  const fields = fieldErrors(error);
  const submit = (e: FormEvent) => {
    e.preventDefault();
    void start();
  };
  return (
    <form onSubmit={submit} className="space-y-4">
      {error && !fields['/value'] && <p role="alert" className="rounded-md bg-bad-soft px-3 py-2 text-bad">{error.message}</p>}
      <Field label="Name">{(p) => <Input {...p} required autoFocus={!given} readOnly={given !== ''} maxLength={128} className="font-mono" value={name} onChange={(e) => setName(e.target.value)} placeholder="database-password" />}</Field>
      <Field label="Value" error={fields['/value']} hint="Kept byte for byte, and never shown again.">
        {(p) => <textarea {...p} required rows={4} spellCheck={false} autoComplete="off" className="w-full rounded-md border border-strong bg-canvas px-3 py-2 font-mono text-xs" value={value} onChange={(e) => setValue(e.target.value)} />}
      </Field>
      <div className="flex justify-end"><Button type="submit" variant="primary" busy={busy} disabled={!name.trim() || !value}>Set</Button></div>
    </form>
  );
}

function Delete({ secret, onClose, onDone }: { secret: Secret; onClose: () => void; onDone: () => void }) {
  const remove = useCallback(async () => {
    await hub.deleteSecret(secret.name);
    onDone();
    onClose();
    return `${secret.name} is deleted.`;
  }, [secret.name, onDone, onClose]);
  const { start, busy } = useAction(remove);
  return (
    <ConfirmByName open onClose={onClose} title={`Delete ${secret.name}?`} name={secret.name} action="Delete secret" busy={busy} onConfirm={() => void start()}>
      <p>All its versions go, and nothing brings them back. While a kept release uses one, this is refused.</p>
    </ConfirmByName>
  );
}

const uses = (s: Secret) => s.versions.reduce((sum, v) => sum + v.releases, 0);

export function Secrets() {
  const { data, error, reload } = useResource('secrets', (signal) => hub.secrets(signal));
  const [mayAct, admin] = [useMay('operator'), useMay('admin')];
  const [setting, setSetting] = useState<string | null>(null);
  const [deleting, setDeleting] = useState<Secret | null>(null);
  const done = useCallback(() => {
    setSetting(null);
    reload();
  }, [reload]);
  return (
    <Card aria-labelledby="t-secrets">
      <CardHeader id="t-secrets" title="Secrets" hint="values go in and never out" actions={mayAct && <Button size="sm" onClick={() => setSetting('')}><Plus aria-hidden />Set a secret</Button>} />
      {!data ? (error ? <Failed error={error} retry={reload} what="The secrets" /> : <SkeletonRows rows={3} />)
        : data.length === 0 ? <Empty icon={LockKeyhole} title="No secret yet">A service gets one as a variable or a file, by its name.</Empty>
        : (
          <Table>
            <thead><tr><Th>Name</Th><Th className="text-right">Version</Th><Th>Set</Th><Th className="text-right max-sm:hidden">In releases</Th><Th><span className="sr-only">Action</span></Th></tr></thead>
            <tbody>
              {data.map((s) => (
                <Tr key={s.name}>
                  <Td className="font-mono text-xs font-medium">{s.name}</Td><Td className="text-right">{s.version}</Td>
                  <Td className="text-xs text-muted"><Ago at={s.updatedAt} /><span className="max-sm:hidden"> by {s.updatedBy}</span></Td><Td className="text-right max-sm:hidden">{uses(s)}</Td>
                  <Td className="text-right whitespace-nowrap">
                    {mayAct && <Button size="sm" aria-label={`New value of ${s.name}`} onClick={() => setSetting(s.name)}>New value</Button>}
                    {admin && <Button size="icon" variant="ghost" aria-label={`Delete ${s.name}`} onClick={() => setDeleting(s)}><Trash2 aria-hidden /></Button>}
                  </Td>
                </Tr>
              ))}
            </tbody>
          </Table>
        )}
      <Dialog open={setting !== null} onClose={() => setSetting(null)} title={setting ? `A new value of ${setting}` : 'Set a secret'}>{setting !== null && <SetForm name={setting} onDone={done} />}</Dialog>
      {deleting && <Delete secret={deleting} onClose={() => setDeleting(null)} onDone={reload} />}
    </Card>
  );
}
