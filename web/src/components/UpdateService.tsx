import { ArrowUpFromLine } from 'lucide-react';
import { useCallback, useState, type FormEvent } from 'react';
import { useNavigate } from 'react-router';
import { fieldErrors } from '@/api/errors';
import { hub } from '@/api/hub';
import type { Service } from '@/api/types';
import { useAction } from '@/hooks/useAction';
import { imageOf } from './ServiceRow';
import { Button } from './ui/button';
import { Dialog } from './ui/dialog';
import { Field, Input } from './ui/field';

function Form({ service, onClose }: { service: Service; onClose: () => void }) {
  const navigate = useNavigate();
  const [image, setImage] = useState(imageOf(service));
  const update = useCallback(async (wanted: string) => {
    const reply = await hub.updateService(service.id, { container: { image: wanted } });
    void navigate(`/deployments/${reply.deployment_id}`);
    return undefined;
  }, [service.id, navigate]);
  const { start, busy, error } = useAction(update, { quietError: true });
  const fields = fieldErrors(error);
  const submit = (e: FormEvent) => {
    e.preventDefault();
    void start(image.trim());
  };
  return (
    <form onSubmit={submit}>
      {error && !fields['/container/image'] && <p role="alert" className="mb-4 rounded-md bg-bad-soft px-3 py-2 text-bad">{error.message}</p>}
      <p className="mb-4 text-muted">The new container is started beside the old one and checked before the old one goes. Everything else stays as it is.</p>
      <Field label="Image" error={fields['/container/image']}>
        {(p) => <Input {...p} autoFocus className="font-mono" value={image} onChange={(e) => setImage(e.target.value)} />}
      </Field>
      <div className="mt-5 flex justify-end gap-2"><Button onClick={onClose}>Cancel</Button><Button type="submit" variant="primary" busy={busy} disabled={!image.trim()}>Deploy</Button></div>
    </form>
  );
}

/* Another image for a service that is there already. */
export function UpdateService({ service }: { service: Service }) {
  const [open, setOpen] = useState(false);
  const close = () => setOpen(false);
  return (
    <>
      <Button onClick={() => setOpen(true)}><ArrowUpFromLine aria-hidden />Update</Button>
      <Dialog open={open} onClose={close} title={`Update ${service.name}`}><Form service={service} onClose={close} /></Dialog>
    </>
  );
}
