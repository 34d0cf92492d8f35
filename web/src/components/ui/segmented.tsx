/* A small set of choices of which one holds, as radio buttons that look like one control. */
import { useId } from 'react';
import { cn } from '@/lib/cn';

interface Props<T extends string> {
  label: string;
  value: T;
  options: { value: T; label: string; title?: string }[];
  onChange: (value: T) => void;
  className?: string;
}

export function Segmented<T extends string>({ label, value, options, onChange, className }: Props<T>) {
  const name = useId();
  return (
    <fieldset className={cn('inline-flex rounded-md border border-strong bg-surface p-0.5', className)}>
      <legend className="sr-only">{label}</legend>
      {options.map((o) => (
        <label
          key={o.value} title={o.title}
          className={cn('cursor-pointer rounded-[5px] px-2 py-0.5 text-xs font-medium max-md:px-3 max-md:py-1.5',
            'has-focus-visible:outline-2 has-focus-visible:outline-accent',
            o.value === value ? 'bg-accent-soft text-accent-ink' : 'text-muted hover:text-ink')}
        >
          <input type="radio" className="sr-only" name={name} checked={o.value === value} onChange={() => onChange(o.value)} />
          {o.label}
        </label>
      ))}
    </fieldset>
  );
}
