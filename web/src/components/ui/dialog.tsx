/* The platform's modal dialog: focus is kept inside, Escape closes, the page behind is inert, and no style is injected. */
import { X } from 'lucide-react';
import { useEffect, useId, useRef, type ReactNode } from 'react';
import { cn } from '@/lib/cn';
import { Button } from './button';

interface Props {
  open: boolean;
  onClose: () => void;
  title: string;
  children: ReactNode;
  wide?: boolean;
}

export function Dialog({ open, onClose, title, children, wide }: Props) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = ref.current;
    if (!dialog) return;
    if (open && !dialog.open) dialog.showModal();
    if (!open && dialog.open) dialog.close();
  }, [open]);
  return (
    <dialog
      ref={ref} aria-labelledby={id} onClose={onClose}
      onMouseDown={(e) => { if (e.target === ref.current) onClose(); }}
      className={cn('m-auto w-[calc(100vw-2rem)] rounded-xl border border-line bg-raised p-0 text-ink shadow-pop', wide ? 'max-w-2xl' : 'max-w-md')}
    >
      {open && (
        <div className="max-h-[85dvh] overflow-y-auto p-5">
          <div className="mb-3 flex items-start justify-between gap-4">
            <h2 id={id} className="text-lg font-semibold">{title}</h2>
            <Button variant="ghost" size="icon" className="-mt-1 -mr-2" aria-label="Close" onClick={onClose}><X aria-hidden /></Button>
          </div>
          {children}
        </div>
      )}
    </dialog>
  );
}
