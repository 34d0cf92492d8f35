import { Link } from 'react-router';
import type { Deployment } from '@/api/types';
import { duration, words } from '@/lib/format';
import { Ago } from './Ago';
import { Progress } from './Progress';
import { Status } from './Status';

export const isOver = (d: Deployment) => ['completed', 'failed', 'rolled_back', 'cancelled', 'superseded'].includes(d.status.state);

/* One deployment on one line, for lists. */
export function DeploymentRow({ deployment: d }: { deployment: Deployment }) {
  const over = isOver(d);
  return (
    <li className="relative flex flex-wrap items-center gap-x-3 gap-y-1 px-4 py-2.5 hover:bg-hover/60">
      <span className="w-24"><Status state={d.status.state} /></span>
      <span className="min-w-0 flex-1 basis-40 max-sm:basis-0">
        <Link to={`/deployments/${d.id}`} className="font-medium after:absolute after:inset-0">{d.serviceName}</Link>
        <span className="text-muted"> {d.changes.type === 'create' ? 'new' : words(d.changes.type)}{d.changes.toVersion ? `, version ${d.changes.toVersion}` : ''}</span>
      </span>
      {!over && <span className="w-24"><Progress value={d.status.progress} label={`Progress of ${d.serviceName}`} /></span>}
      <span className="flex gap-3 text-xs text-muted max-sm:w-full">
        <span>{d.deployment.initiatedBy}</span>
        {over && <span className="sm:w-14 sm:text-right">{duration(d.timing.duration)}</span>}
        <span className="text-right sm:w-20 max-sm:ml-auto"><Ago at={d.timing.startedAt} /></span>
      </span>
    </li>
  );
}
