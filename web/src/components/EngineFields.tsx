/* How the hub reaches a node's container engine. */
import type { NodeCreate } from '@/api/types';
import { Field, Input, Select } from './ui/field';

type Engine = NonNullable<NodeCreate['engine']>;
type Kind = Engine['kind'];

export const NO_ENGINE = { kind: 'none' as Kind, url: '', key: '', certificate: '', authority: '', fingerprint: '', endpoint: '' };
export type EngineForm = typeof NO_ENGINE;

const KINDS: Record<Kind, { label: string; url?: string; asks: ('key' | 'certificate' | 'authority' | 'fingerprint' | 'endpoint')[] }> = {
  none: { label: 'Not at all, for now', asks: [] },
  ssh: { label: 'SSH', url: 'ssh://deploy@spoke-01.example.org', asks: ['key', 'fingerprint'] },
  tls: { label: 'TLS with certificates', url: 'tcp://spoke-01.example.org:2376', asks: ['key', 'certificate', 'authority'] },
  portainer: { label: 'Portainer', url: 'https://portainer.example.org:9443', asks: ['key', 'endpoint'] },
  local: { label: 'A socket here', url: 'unix:///var/run/docker.sock', asks: [] },
};
const ASKS = {
  key: { label: 'Key', hint: 'The name of the secret that holds the private key or token.', placeholder: 'spoke-01-key' },
  certificate: { label: 'Certificate', hint: 'The name of the secret that holds it.', placeholder: 'spoke-01-certificate' },
  authority: { label: 'Authority', hint: 'The name of the secret with the certificate that signed the engine’s.', placeholder: 'spoke-01-authority' },
  fingerprint: { label: 'Host key', hint: 'As ssh-keygen -lf shows it.', placeholder: 'SHA256:…' },
  endpoint: { label: 'Endpoint', hint: 'Its number in Portainer.', placeholder: '1' },
} as const;

const secret = (name: string) => (name.trim() ? { secret: name.trim() } : undefined);

/* Only what the kind asks for; nothing at all for none. */
export function engineOf(f: EngineForm): { engine?: Engine } {
  if (f.kind === 'none') return {};
  const asks = new Set<string>(KINDS[f.kind].asks);
  const [key, certificate, authority] = [secret(f.key), secret(f.certificate), secret(f.authority)];
  return {
    engine: {
      kind: f.kind,
      ...(f.url.trim() && { url: f.url.trim() }),
      ...(asks.has('key') && key && { key }), ...(asks.has('certificate') && certificate && { certificate }), ...(asks.has('authority') && authority && { authority }),
      ...(asks.has('fingerprint') && f.fingerprint.trim() && { fingerprint: f.fingerprint.trim() }),
      ...(asks.has('endpoint') && f.endpoint && { endpoint: Number(f.endpoint) }),
    },
  };
}

export function EngineFields({ form, change, errors }: { form: EngineForm; change: (f: EngineForm) => void; errors: Record<string, string | undefined> }) {
  const kind = KINDS[form.kind];
  return (
    <fieldset className="grid gap-4 sm:grid-cols-2">
      <Field label="Container engine" error={errors['/engine/kind'] ?? errors['/engine']} hint="How the hub reaches it.">
        {(p) => <Select {...p} value={form.kind} onChange={(e) => change({ ...form, kind: e.target.value as Kind })}>{Object.entries(KINDS).map(([k, { label }]) => <option key={k} value={k}>{label}</option>)}</Select>}
      </Field>
      {kind.url && (
        <Field label="Address" error={errors['/engine/url']}>
          {(p) => <Input {...p} required className="font-mono" placeholder={kind.url} value={form.url} onChange={(e) => change({ ...form, url: e.target.value })} />}
        </Field>
      )}
      {kind.asks.map((k) => (
        <Field key={k} label={ASKS[k].label} hint={ASKS[k].hint} error={errors[`/engine/${k}`]} optional={k === 'authority' || k === 'fingerprint'}>
          {(p) => <Input {...p} className="font-mono" placeholder={ASKS[k].placeholder} value={form[k]} onChange={(e) => change({ ...form, [k]: e.target.value })} />}
        </Field>
      ))}
    </fieldset>
  );
}
