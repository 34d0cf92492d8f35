import { useCallback, useState, type FormEvent } from 'react';
import { useNavigate } from 'react-router';
import { fieldErrors } from '@/api/errors';
import { hub } from '@/api/hub';
import type { NodeCreate } from '@/api/types';
import { useAction } from '@/hooks/useAction';
import { EngineFields, engineOf, NO_ENGINE } from './EngineFields';
import { Button } from './ui/button';
import { Dialog } from './ui/dialog';
import { Field, Input, Select } from './ui/field';

const PROVIDERS: [NodeCreate['provider'], string][] = [
  ['local', 'Own machine'], ['hetzner', 'Hetzner'], ['digitalocean', 'DigitalOcean'], ['azure', 'Azure'], ['other', 'Another'],
];

function Form({ onClose }: { onClose: () => void }) {
  const navigate = useNavigate();
  const [form, setForm] = useState({ name: '', type: 'spoke', provider: 'local', region: '', hostname: '', publicIP: '' });
  const [engine, setEngine] = useState(NO_ENGINE);
  const create = useCallback(async (body: NodeCreate) => {
    const node = await hub.createNode(body);
    void navigate(`/nodes/${node.id}`);
    return body.engine ? `${node.name} is known now. Its engine is being asked.` : `${node.name} is known now. It is offline until it has been seen.`;
  }, [navigate]);
  const { start, busy, error } = useAction(create, { quietError: true });
  const fields = fieldErrors(error);
  const set = (key: keyof typeof form) => (e: { target: { value: string } }) => setForm((f) => ({ ...f, [key]: e.target.value }));
  const submit = (e: FormEvent) => {
    e.preventDefault();
    const { name, type, provider, region, hostname, publicIP } = form;
    const networking = { ...(hostname && { hostname }), ...(publicIP && { publicIP }) };
    void start({
      name: name.trim(), type: type as NodeCreate['type'], provider: provider as NodeCreate['provider'],
      ...(region && { region }), ...engineOf(engine), ...(Object.keys(networking).length > 0 && { networking }),
    });
  };
  return (
    <form onSubmit={submit} className="space-y-4">
      {error && Object.keys(fields).length === 0 && <p role="alert" className="rounded-md bg-bad-soft px-3 py-2 text-bad">{error.message}</p>}
      <Field label="Name" error={fields['/name']} hint="Letters, digits, dots and dashes; unique among nodes.">
        {(p) => <Input {...p} required maxLength={128} pattern="[A-Za-z0-9]([A-Za-z0-9._\-]*[A-Za-z0-9])?" value={form.name} onChange={set('name')} autoFocus />}
      </Field>
      <div className="grid gap-4 sm:grid-cols-2">
        <Field label="Type" error={fields['/type']}>
          {(p) => <Select {...p} value={form.type} onChange={set('type')}><option value="spoke">Spoke</option><option value="experimentation">Experimentation</option><option value="hub">Hub</option></Select>}
        </Field>
        <Field label="Provider" error={fields['/provider']}>
          {(p) => <Select {...p} value={form.provider} onChange={set('provider')}>{PROVIDERS.map(([v, l]) => <option key={v} value={v}>{l}</option>)}</Select>}
        </Field>
        <Field label="Region" optional error={fields['/region']}>{(p) => <Input {...p} maxLength={64} value={form.region} onChange={set('region')} placeholder="fsn1" />}</Field>
        <Field label="Host name" optional error={fields['/networking/hostname']}>{(p) => <Input {...p} value={form.hostname} onChange={set('hostname')} placeholder="spoke-01.example.org" />}</Field>
        <Field label="Public address" optional error={fields['/networking/publicIP']}>{(p) => <Input {...p} value={form.publicIP} onChange={set('publicIP')} placeholder="203.0.113.7" />}</Field>
      </div>
      <EngineFields form={engine} change={setEngine} errors={fields} />
      <div className="flex justify-end gap-2"><Button onClick={onClose}>Cancel</Button><Button type="submit" variant="primary" busy={busy}>Add node</Button></div>
    </form>
  );
}

export function AddNode({ open, onClose }: { open: boolean; onClose: () => void }) {
  return <Dialog open={open} onClose={onClose} title="Add a node" wide><Form onClose={onClose} /></Dialog>;
}
