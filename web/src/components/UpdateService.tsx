import { ArrowUpFromLine } from 'lucide-react';
import { useCallback, useState, type FormEvent } from 'react';
import { useNavigate } from 'react-router';
import { fieldErrors } from '@/api/errors';
import { hub } from '@/api/hub';
import type { Plan, Service, ServiceUpdate } from '@/api/types';
import { useAction } from '@/hooks/useAction';
import { PlanView } from './PlanView';
import { imageOf } from './ServiceRow';
import { Button } from './ui/button';
import { Dialog } from './ui/dialog';
import { Field, Input } from './ui/field';

/* Only what differs is asked for, so that nothing else moves. */
function changeOf(service: Service, image: string, instances: string): ServiceUpdate {
  const wanted = Number(instances);
  return {
    ...(image.trim() !== imageOf(service) && { container: { image: image.trim() } }),
    ...(wanted !== (service.instances?.wanted ?? 1) && { instances: wanted }),
  };
}

function Form({ service, onClose }: { service: Service; onClose: () => void }) {
  const navigate = useNavigate();
  const [image, setImage] = useState(imageOf(service));
  const [instances, setInstances] = useState(String(service.instances?.wanted ?? 1));
  const [plan, setPlan] = useState<Plan | null>(null);
  const act = useCallback(async (change: ServiceUpdate, sure: boolean) => {
    if (!sure) {
      setPlan(await hub.updatePlan(service.id, change));
      return undefined;
    }
    const reply = await hub.updateService(service.id, change);
    void navigate(`/deployments/${reply.deployment_id}`);
    return undefined;
  }, [service.id, navigate]);
  const { start, busy, error } = useAction(act, { quietError: true });
  const fields = fieldErrors(error);
  const asked = changeOf(service, image, instances);
  const change = Object.keys(asked).length > 0 ? asked : { container: { image: image.trim() } };
  const submit = (e: FormEvent) => {
    e.preventDefault();
    void start(change, true);
  };
  return (
    <form onSubmit={submit}>
      {error && !fields['/container/image'] && !fields['/instances'] && <p role="alert" className="mb-4 rounded-md bg-bad-soft px-3 py-2 text-bad">{error.message}</p>}
      <p className="mb-4 text-muted">The new container is started beside the old one and checked before the old one goes. Everything else stays as it is.</p>
      <div className="grid gap-4 sm:grid-cols-[minmax(0,1fr)_110px]">
        <Field label="Image" error={fields['/container/image']}>
          {(p) => <Input {...p} autoFocus className="font-mono" value={image} onChange={(e) => { setImage(e.target.value); setPlan(null); }} />}
        </Field>
        <Field label="Instances" error={fields['/instances']}>
          {(p) => <Input {...p} type="number" min={1} max={32} value={instances} onChange={(e) => { setInstances(e.target.value); setPlan(null); }} />}
        </Field>
      </div>
      {plan && <div className="mt-4"><PlanView plan={plan} /></div>}
      <div className="mt-5 flex flex-wrap justify-end gap-2">
        <Button onClick={onClose}>Cancel</Button>
        <Button busy={busy && !plan} disabled={!image.trim()} onClick={() => void start(change, false)}>What would change?</Button>
        <Button type="submit" variant="primary" busy={busy} disabled={!image.trim()}>Deploy</Button>
      </div>
    </form>
  );
}

/* Another image, or more of the same, for a service that is there already. */
export function UpdateService({ service }: { service: Service }) {
  const [open, setOpen] = useState(false);
  const close = () => setOpen(false);
  return (
    <>
      <Button onClick={() => setOpen(true)}><ArrowUpFromLine aria-hidden />Update</Button>
      <Dialog open={open} onClose={close} title={`Update ${service.name}`} wide><Form service={service} onClose={close} /></Dialog>
    </>
  );
}
