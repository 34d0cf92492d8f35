import { HandHeart, Play, RotateCw, Square, Trash2, type LucideIcon } from 'lucide-react';
import { useCallback, useState } from 'react';
import { hub, type ServiceAction } from '@/api/hub';
import type { Service } from '@/api/types';
import { useAction } from '@/hooks/useAction';
import { ConfirmByName } from './ConfirmByName';
import { RemoveService } from './RemoveService';
import { Button } from './ui/button';
import { UpdateService } from './UpdateService';

interface Offer {
  action: ServiceAction;
  label: string;
  icon: LucideIcon;
  done: string;
  when: (s: Service) => boolean;
  warning?: string; // has to be confirmed
}

const up = (s: Service) => s.status.deployment === 'running' || s.status.deployment === 'updating';

const OFFERS: Offer[] = [
  { action: 'adopt', label: 'Adopt', icon: HandHeart, done: 'is in care of hbcloud now.', when: (s) => !s.managed },
  { action: 'start', label: 'Start', icon: Play, done: 'is started.', when: (s) => s.status.deployment === 'stopped' || s.status.deployment === 'failed' },
  { action: 'restart', label: 'Restart', icon: RotateCw, done: 'is restarted.', when: up, warning: 'It does not answer while its container restarts.' },
  { action: 'stop', label: 'Stop', icon: Square, done: 'is stopped.', when: up, warning: 'It stops answering until it is started again. Its data is kept.' },
];

export function ServiceActions({ service }: { service: Service }) {
  const [asking, setAsking] = useState<Offer | 'remove' | null>(null);
  const run = useCallback(async (offer: Offer) => {
    await hub.act(service.id, offer.action);
    setAsking(null);
    return `${service.name} ${offer.done}`;
  }, [service.id, service.name]);
  const { start, busy } = useAction(run);
  const close = () => setAsking(null);
  return (
    <>
      {service.managed && <UpdateService service={service} />}
      {OFFERS.filter((o) => o.when(service)).map((o) => (
        <Button key={o.action} busy={busy} onClick={() => (o.warning ? setAsking(o) : void start(o))}><o.icon aria-hidden />{o.label}</Button>
      ))}
      <Button variant="danger" onClick={() => setAsking('remove')}><Trash2 aria-hidden />Remove</Button>
      {OFFERS.filter((o) => o.warning).map((o) => (
        <ConfirmByName key={o.action} open={asking === o} onClose={close} title={`${o.label} ${service.name}?`} name={service.name} action={o.label} busy={busy} onConfirm={() => void start(o)}>
          <p>{o.warning}</p>
        </ConfirmByName>
      ))}
      <RemoveService service={service} open={asking === 'remove'} onClose={close} />
    </>
  );
}
