import { ChevronRight, Rocket } from 'lucide-react';
import { useCallback, useEffect, useRef, useState, type ComponentProps, type FormEvent } from 'react';
import { useNavigate, useSearchParams } from 'react-router';
import { fieldErrors, type HubError } from '@/api/errors';
import { hub } from '@/api/hub';
import { idempotencyKey } from '@/api/client';
import type { Node } from '@/api/types';
import { CopyDetails } from '@/components/CopyButton';
import { PageHeader } from '@/components/PageHeader';
import { Failed } from '@/components/States';
import { Button } from '@/components/ui/button';
import { Card } from '@/components/ui/card';
import { Field, Input, Select, TextArea } from '@/components/ui/field';
import { useAction } from '@/hooks/useAction';
import { useCollection } from '@/hooks/useCollection';
import { useSystem } from '@/hooks/useSystem';
import { checkForm, EMPTY_FORM, errorsFromHub, toRequest, type DeployForm, type FormErrors } from '@/lib/deployForm';
import { useMay } from '@/state/session';

type Bind = (key: keyof DeployForm) => { value: string; onChange: (e: { target: { value: string } }) => void };

const TYPES = ['web', 'api', 'database', 'cache', 'monitoring', 'utility'];
const ENVIRONMENTS = ['production', 'staging', 'development'];

/* The option's text is the node's name and nothing else: people and scripts choose by it. */
function NodeSelect({ nodes, ...rest }: { nodes: Node[] } & ComponentProps<typeof Select>) {
  return (
    <Select data-testid="target-node" {...rest}>
      {nodes.length === 0 && <option value="">The hub’s own node</option>}
      {nodes.map((n) => <option key={n.id} value={n.id}>{n.name}</option>)}
    </Select>
  );
}

function Basics({ bind, errors, nodes }: { bind: Bind; errors: FormErrors; nodes: Node[] }) {
  return (
    <div className="grid gap-4 sm:grid-cols-2">
      <Field label="Name" error={errors.name} hint="Small letters, digits and dashes.">
        {(p) => <Input {...p} data-testid="service-name" autoFocus placeholder="my-service" maxLength={63} {...bind('name')} />}
      </Field>
      <Field label="Node" error={errors.nodeId} hint="Where it runs.">{(p) => <NodeSelect nodes={nodes} {...p} {...bind('nodeId')} />}</Field>
      <Field label="Image" error={errors.image} hint="With registry, tag or digest if wanted.">
        {(p) => <Input {...p} data-testid="service-image" className="font-mono" placeholder="nginx:alpine" {...bind('image')} />}
      </Field>
      <Field label="Port" error={errors.port} hint="On which the program in the container listens.">
        {(p) => <Input {...p} data-testid="service-port" inputMode="numeric" className="font-mono" {...bind('port')} />}
      </Field>
    </div>
  );
}

function Advanced({ bind, errors }: { bind: Bind; errors: FormErrors }) {
  return (
    <div className="grid gap-4 pt-4 sm:grid-cols-2">
      <Field label="Health path" optional error={errors.healthPath} hint="Must answer 200 to 399. Empty: the image’s own check or a connection decides.">{(p) => <Input {...p} placeholder="/" className="font-mono" {...bind('healthPath')} />}</Field>
      <Field label="Domains" optional error={errors.domains}>{(p) => <Input {...p} placeholder="app.example.org" {...bind('domains')} />}</Field>
      <Field label="Type" error={errors.type}>{(p) => <Select {...p} {...bind('type')}>{TYPES.map((t) => <option key={t}>{t}</option>)}</Select>}</Field>
      <Field label="Stage" error={errors.environment}>{(p) => <Select {...p} {...bind('environment')}>{ENVIRONMENTS.map((t) => <option key={t}>{t}</option>)}</Select>}</Field>
      <Field label="Environment variables" optional error={errors.variables} hint="KEY=value, a line each. Values are never shown again.">{(p) => <TextArea {...p} rows={3} placeholder="GREETING=hello" {...bind('variables')} />}</Field>
      <Field label="Volumes" optional error={errors.volumes} hint="name:/path or /host/path:/path, :ro for read only; a line each.">{(p) => <TextArea {...p} rows={3} placeholder="data:/var/lib/data" {...bind('volumes')} />}</Field>
      <Field label="More ports" optional error={errors.ports} hint="9000, 8080:80 or 53:53/udp; a line each.">{(p) => <TextArea {...p} rows={2} {...bind('ports')} />}</Field>
      <Field label="Command" optional error={errors.command} hint="An argument a line; no shell reads it.">{(p) => <TextArea {...p} rows={2} {...bind('command')} />}</Field>
      <Field label="CPU limit" optional error={errors.cpu} hint="Cores.">{(p) => <Input {...p} inputMode="decimal" placeholder="0.5" {...bind('cpu')} />}</Field>
      <Field label="Memory limit" optional error={errors.memory} hint="MiB.">{(p) => <Input {...p} inputMode="numeric" placeholder="256" {...bind('memory')} />}</Field>
    </div>
  );
}

function Refused({ error }: { error: HubError }) {
  return (
    <div role="alert" className="mb-4 rounded-md bg-bad-soft px-3 py-2 text-bad">
      <p className="font-medium">{error.message}</p>
      {error.requestId && <p className="font-mono text-2xs break-all">request {error.requestId}</p>}
      {error.body && <div className="mt-1.5"><CopyDetails error={error} /></div>}
    </div>
  );
}

const ADVANCED: (keyof DeployForm)[] = ['healthPath', 'domains', 'type', 'environment', 'variables', 'volumes', 'ports', 'command', 'cpu', 'memory'];

export default function Deploy() {
  const navigate = useNavigate();
  const [params] = useSearchParams();
  const nodes = useCollection('node');
  const { data: system } = useSystem();
  const mayDeploy = useMay('operator');
  const [form, setForm] = useState<DeployForm>({ ...EMPTY_FORM, nodeId: params.get('node') ?? '' });
  const [errors, setErrors] = useState<FormErrors>({});
  const [open, setOpen] = useState(false);
  const [tries, setTries] = useState(0); // each leads the focus to the first field that is wrong
  const key = useRef<{ body: string; key: string } | null>(null);
  const box = useRef<HTMLFormElement>(null);

  const send = useCallback(async (request: ReturnType<typeof toRequest>) => {
    const body = JSON.stringify(request);
    if (key.current?.body !== body) key.current = { body, key: idempotencyKey() }; // a second try of the same is the same
    const reply = await hub.deploy(request, key.current.key);
    void navigate(`/deployments/${reply.deployment_id}`);
    return undefined;
  }, [navigate]);
  const { start, busy, error } = useAction(send, { quietError: true });
  const shownErrors: FormErrors = { ...errorsFromHub(fieldErrors(error)), ...errors };
  const hidden = ADVANCED.some((k) => shownErrors[k]);

  useEffect(() => {
    if (tries > 0) box.current?.querySelector<HTMLElement>('[aria-invalid]')?.focus();
  }, [tries, error]);

  const hubNode = system?.hubNodeId ?? '';
  const nodeId = form.nodeId || (nodes.items.some((n) => n.id === hubNode) ? hubNode : (nodes.items[0]?.id ?? ''));
  const bind: Bind = (k) => ({
    value: k === 'nodeId' ? nodeId : form[k],
    onChange: (e) => {
      const { value } = e.target;
      setForm((f) => ({ ...f, [k]: value }));
      setErrors((old) => ({ ...old, [k]: undefined }));
    },
  });
  const submit = (e: FormEvent) => {
    e.preventDefault();
    const found = checkForm(form);
    setErrors(found);
    setTries((n) => n + 1);
    if (Object.keys(found).length === 0) void start(toRequest({ ...form, nodeId }));
  };
  const engineGone = system && !system.engine.available && nodeId === hubNode;
  return (
    <div className="mx-auto max-w-2xl">
      <PageHeader title="Deploy a service" parent={{ to: '/services', label: 'Services' }} hint="The image is pulled, started, checked, and recorded. Nothing is replaced before its successor is healthy." />
      {nodes.error && !nodes.loaded && <Failed error={nodes.error} retry={nodes.reload} what="The nodes" />}
      {engineGone && <p role="status" className="mb-4 rounded-md bg-warn-soft px-3 py-2 text-warn">{system.engine.reason ?? 'No container engine answers on the hub, so a deployment there will fail.'}</p>}
      <Card>
        <form ref={box} onSubmit={submit} noValidate className="p-5">
          {error && <Refused error={error} />}
          <Basics bind={bind} errors={shownErrors} nodes={nodes.items} />
          <details className="mt-5 border-t border-line pt-4" open={open || hidden} onToggle={(e) => setOpen(e.currentTarget.open)}>
            <summary className="flex items-center gap-1 font-medium text-muted hover:text-ink [&::-webkit-details-marker]:hidden">
              <ChevronRight aria-hidden className={open || hidden ? 'size-4 rotate-90' : 'size-4'} />Health, domains, variables, volumes, limits
            </summary>
            <Advanced bind={bind} errors={shownErrors} />
          </details>
          <div className="mt-5 flex items-center justify-end gap-3 border-t border-line pt-4">
            {!mayDeploy && <span className="text-muted">Your role may look, not deploy.</span>}
            <Button type="submit" variant="primary" data-testid="deploy-submit" busy={busy} disabled={!mayDeploy}><Rocket aria-hidden />{busy ? 'Starting…' : 'Deploy'}</Button>
          </div>
        </form>
      </Card>
    </div>
  );
}
