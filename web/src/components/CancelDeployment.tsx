import { Ban } from 'lucide-react';
import { useCallback } from 'react';
import { hub } from '@/api/hub';
import type { Deployment } from '@/api/types';
import { useAction } from '@/hooks/useAction';
import { isOver } from './DeploymentRow';
import { Button } from './ui/button';

/* From the switch on there is nothing to cancel: the hub says so, and rolling back is what helps. */
const TOO_LATE = new Set(['switch', 'verify', 'retire']);

export function CancelDeployment({ deployment: d }: { deployment: Deployment }) {
  const cancel = useCallback(async () => {
    await hub.cancelDeployment(d.id);
    return `The deployment of ${d.serviceName} is being cancelled.`;
  }, [d.id, d.serviceName]);
  const { start, busy } = useAction(cancel);
  if (isOver(d) || TOO_LATE.has(d.status.step ?? '')) return null;
  return <Button variant="danger" busy={busy} onClick={() => void start()}><Ban aria-hidden />Cancel</Button>;
}
