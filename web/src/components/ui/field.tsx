import { useId, type ComponentProps, type ReactNode } from 'react';
import { cn } from '@/lib/cn';

const box =
  'w-full rounded-md border border-strong bg-surface px-2.5 text-sm text-ink placeholder:text-faint hover:border-faint focus-visible:outline-offset-0 disabled:opacity-60 aria-invalid:border-bad max-md:text-[16px]';

export function Input({ className, ...rest }: ComponentProps<'input'>) {
  return <input className={cn(box, 'h-8 max-md:h-10', className)} autoComplete="off" spellCheck={false} {...rest} />;
}

export function TextArea({ className, ...rest }: ComponentProps<'textarea'>) {
  return <textarea className={cn(box, 'py-1.5 font-mono text-xs leading-5', className)} spellCheck={false} {...rest} />;
}

/* The browser's own select: keyboard, screen reader and phone pickers come with it. */
export function Select({ className, ...rest }: ComponentProps<'select'>) {
  return <select className={cn(box, 'h-8 pr-1 max-md:h-10', className)} {...rest} />;
}

export function Checkbox({ className, ...rest }: ComponentProps<'input'>) {
  return <input type="checkbox" className={cn('size-4 shrink-0 accent-accent', className)} {...rest} />;
}

export function Switch({ checked, onChange, disabled, ...aria }: {
  checked: boolean; onChange: (on: boolean) => void; disabled?: boolean; 'aria-label'?: string; 'aria-labelledby'?: string;
}) {
  return (
    <button
      type="button" role="switch" aria-checked={checked} disabled={disabled} onClick={() => onChange(!checked)} {...aria}
      className={cn('relative h-5 w-9 shrink-0 rounded-full border transition-colors disabled:opacity-50',
        checked ? 'border-accent bg-accent' : 'border-strong bg-hover')}
    >
      <span aria-hidden className={cn('absolute top-0.5 left-0.5 size-3.5 rounded-full transition-transform',
        checked ? 'translate-x-4 bg-on-accent' : 'bg-muted')} />
    </button>
  );
}

interface FieldProps {
  label: string;
  hint?: ReactNode;
  error?: string;
  optional?: boolean;
  className?: string;
  children: (props: { id: string; 'aria-describedby'?: string; 'aria-invalid'?: true }) => ReactNode;
}

/* Label, hint and error around one control, tied together for assistive technology. */
export function Field({ label, hint, error, optional, className, children }: FieldProps) {
  const id = useId();
  const note = `${id}-note`;
  const described = error || hint ? { 'aria-describedby': note } : {};
  return (
    <div className={cn('min-w-0', className)}>
      <label htmlFor={id} className="mb-1 flex items-baseline gap-1.5 text-xs font-medium">
        {label}
        {optional && <span className="font-normal text-faint">optional</span>}
      </label>
      {children({ id, ...described, ...(error ? { 'aria-invalid': true as const } : {}) })}
      {error
        ? <p id={note} role="alert" className="mt-1 text-xs text-bad">{error}</p>
        : hint && <p id={note} className="mt-1 text-xs text-muted">{hint}</p>}
    </div>
  );
}
