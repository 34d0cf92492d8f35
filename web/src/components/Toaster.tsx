import { CircleCheck, CircleX, X } from 'lucide-react';
import { useEffect } from 'react';
import { cn } from '@/lib/cn';
import { dismiss, useToasts, type Toast } from '@/state/toasts';
import { CopyDetails } from './CopyButton';
import { Button } from './ui/button';

function ToastCard({ toast }: { toast: Toast }) {
  const { id, kind, error } = toast;
  useEffect(() => {
    if (kind === 'error') return; // stays until it was read
    const timer = setTimeout(() => dismiss(id), 5000);
    return () => clearTimeout(timer);
  }, [id, kind]);
  const Icon = kind === 'error' ? CircleX : CircleCheck;
  return (
    <li className="flex items-start gap-2.5 rounded-lg border border-line bg-raised p-3 shadow-pop">
      <Icon aria-hidden className={cn('mt-0.5 size-4 shrink-0', kind === 'error' ? 'text-bad' : 'text-ok')} />
      <div className="min-w-0 flex-1">
        <p className="font-medium break-words">{toast.title}</p>
        {error?.requestId && <p className="mt-0.5 font-mono text-2xs break-all text-faint">request {error.requestId}</p>}
        {error?.body && <div className="mt-2"><CopyDetails error={error} /></div>}
      </div>
      <Button variant="ghost" size="icon" className="-my-1.5 -mr-1.5" aria-label="Dismiss" onClick={() => dismiss(id)}><X aria-hidden /></Button>
    </li>
  );
}

/* Always in the page: a live region has to exist before its text does. */
export function Toaster() {
  const toasts = useToasts((s) => s.toasts);
  return (
    <ol aria-live="polite" aria-label="Messages" className="fixed right-4 bottom-4 z-50 flex w-[min(380px,calc(100vw-2rem))] flex-col gap-2 max-md:bottom-20">
      {toasts.map((t) => <ToastCard key={t.id} toast={t} />)}
    </ol>
  );
}
