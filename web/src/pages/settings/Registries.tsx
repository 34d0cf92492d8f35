import { Container, Plus } from 'lucide-react';
import { useCallback, useState, type FormEvent } from 'react';
import { fieldErrors } from '@/api/errors';
import { hub } from '@/api/hub';
import type { Registry } from '@/api/types';
import { Ago } from '@/components/Ago';
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

function LoginForm({ onDone }: { onDone: () => void }) {
  const [host, setHost] = useState('ghcr.io');
  const [username, setUsername] = useState('');
  const [password, setPassword] = useState('');
  const login = useCallback(async () => {
    await hub.setRegistry(host.trim(), username.trim(), password);
    onDone();
    return `Images of ${host.trim()} are pulled as ${username.trim()}.`;
  }, [host, username, password, onDone]);
  const { start, busy, error } = useAction(login, { quietError: true });
  const fields = fieldErrors(error);
  const submit = (e: FormEvent) => {
    e.preventDefault();
    void start();
  };
  return (
    <form onSubmit={submit} className="space-y-4">
      {error && Object.keys(fields).length === 0 && <p role="alert" className="rounded-md bg-bad-soft px-3 py-2 text-bad">{error.message}</p>}
      <Field label="Registry" error={fields['/registryHost']}>{(p) => <Input {...p} required autoFocus className="font-mono" value={host} onChange={(e) => setHost(e.target.value)} />}</Field>
      <Field label="User" error={fields['/username']}>{(p) => <Input {...p} required autoComplete="off" value={username} onChange={(e) => setUsername(e.target.value)} />}</Field>
      <Field label="Password or token" error={fields['/password']} hint="Kept sealed, and never shown again.">{(p) => <Input {...p} required type="password" autoComplete="new-password" value={password} onChange={(e) => setPassword(e.target.value)} />}</Field>
      <div className="flex justify-end"><Button type="submit" variant="primary" busy={busy} disabled={!host.trim() || !username.trim() || !password}>Log in</Button></div>
    </form>
  );
}

function Forget({ registry, onDone }: { registry: Registry; onDone: () => void }) {
  const forget = useCallback(async () => {
    await hub.deleteRegistry(registry.host);
    onDone();
    return `The login at ${registry.host} is forgotten.`;
  }, [registry.host, onDone]);
  const { start, busy } = useAction(forget);
  return <Button size="sm" busy={busy} aria-label={`Log out of ${registry.host}`} onClick={() => void start()}>Log out</Button>;
}

export function Registries() {
  const { data, error, reload } = useResource('registries', (signal) => hub.registries(signal));
  const mayAct = useMay('operator');
  const [open, setOpen] = useState(false);
  const done = useCallback(() => {
    setOpen(false);
    reload();
  }, [reload]);
  return (
    <Card aria-labelledby="t-registries">
      <CardHeader id="t-registries" title="Registries" hint="logins for private images" actions={mayAct && <Button size="sm" onClick={() => setOpen(true)}><Plus aria-hidden />Log in</Button>} />
      {!data ? (error ? <Failed error={error} retry={reload} what="The registries" /> : <SkeletonRows rows={2} />)
        : data.length === 0 ? <Empty icon={Container} title="No login yet">Public images need none.</Empty>
        : (
          <Table>
            <thead><tr><Th>Registry</Th><Th>User</Th><Th>Since</Th><Th><span className="sr-only">Action</span></Th></tr></thead>
            <tbody>
              {data.map((r) => (
                <Tr key={r.host}><Td className="font-mono text-xs font-medium">{r.host}</Td><Td>{r.username}</Td><Td className="text-xs text-muted"><Ago at={r.updatedAt} /> by {r.updatedBy}</Td><Td className="text-right">{mayAct && <Forget registry={r} onDone={reload} />}</Td></Tr>
              ))}
            </tbody>
          </Table>
        )}
      <Dialog open={open} onClose={() => setOpen(false)} title="Log in to a registry">{open && <LoginForm onDone={done} />}</Dialog>
    </Card>
  );
}
