/* The three other faces of every list and page: nothing here yet, it went wrong, it is not there. */
import { CloudOff, SearchX, TriangleAlert, type LucideIcon } from 'lucide-react';
import type { ReactNode } from 'react';
import type { HubError } from '@/api/errors';
import { CopyDetails } from './CopyButton';
import { Button } from './ui/button';

interface EmptyProps {
  icon: LucideIcon;
  title: string;
  children?: ReactNode;
  action?: ReactNode;
}

export function Empty({ icon: Icon, title, children, action }: EmptyProps) {
  return (
    <div className="flex flex-col items-center px-6 py-10 text-center">
      <span className="mb-3 grid size-10 place-items-center rounded-full border border-line bg-hover text-muted"><Icon aria-hidden className="size-5" /></span>
      <p className="font-medium">{title}</p>
      {children && <div className="mt-1 max-w-md text-muted text-pretty">{children}</div>}
      {action && <div className="mt-4 flex flex-wrap justify-center gap-2">{action}</div>}
    </div>
  );
}

export function Failed({ error, retry, what }: { error: HubError; retry?: () => void; what: string }) {
  const Icon = error.status === 0 ? CloudOff : error.status === 404 ? SearchX : TriangleAlert;
  return (
    <div role="alert" className="flex flex-col items-center px-6 py-10 text-center">
      <span className="mb-3 grid size-10 place-items-center rounded-full bg-bad-soft text-bad"><Icon aria-hidden className="size-5" /></span>
      <p className="font-medium">{what} could not be loaded</p>
      <p className="mt-1 max-w-md text-muted">{error.message}</p>
      {error.requestId && <p className="mt-1 font-mono text-2xs text-faint">request {error.requestId}</p>}
      <div className="mt-4 flex gap-2">
        {retry && <Button size="sm" onClick={retry}>Try again</Button>}
        {error.body && <CopyDetails error={error} />}
      </div>
    </div>
  );
}
