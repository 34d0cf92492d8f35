import { useCallback, useState } from 'react';
import { useNavigate } from 'react-router';
import { hub } from '@/api/hub';
import type { Service } from '@/api/types';
import { useAction } from '@/hooks/useAction';
import { plural } from '@/lib/format';
import { ConfirmByName } from './ConfirmByName';
import { Checkbox } from './ui/field';

/* A named volume can go with the service; a folder of the machine never does. */
export const namedVolumes = (s: Service) => [...new Set(s.container.volumes.map((v) => v.source).filter((v) => v && !v.startsWith('/')))];

export function RemoveService({ service, open, onClose }: { service: Service; open: boolean; onClose: () => void }) {
  const navigate = useNavigate();
  const [ticked, setTicked] = useState<string[]>([]);
  const remove = useCallback(async () => {
    await hub.removeService(service.id, service.name, ticked);
    void navigate('/services');
    return ticked.length > 0 ? `${service.name} is removed, with ${plural(ticked.length, 'volume')}.` : `${service.name} is removed. Its volumes are kept.`;
  }, [service.id, service.name, ticked, navigate]);
  const { start, busy } = useAction(remove);
  const volumes = namedVolumes(service);
  const toggle = (v: string) => setTicked((t) => (t.includes(v) ? t.filter((x) => x !== v) : [...t, v]));
  return (
    <ConfirmByName open={open} onClose={onClose} title={`Remove ${service.name}?`} name={service.name} action="Remove service" busy={busy} onConfirm={() => void start()}>
      <p>Its container is stopped and removed. Its deployments stay on record.</p>
      {volumes.length > 0 && (
        <fieldset>
          <legend className="mb-1 font-medium text-ink">Volumes are kept, unless ticked here</legend>
          {volumes.map((v) => (
            <label key={v} className="flex items-center gap-2 py-1"><Checkbox checked={ticked.includes(v)} onChange={() => toggle(v)} /><span className="font-mono text-xs">{v}</span></label>
          ))}
          {ticked.length > 0 && <p className="mt-1 text-bad">All data in {ticked.join(', ')} will be lost.</p>}
        </fieldset>
      )}
    </ConfirmByName>
  );
}
