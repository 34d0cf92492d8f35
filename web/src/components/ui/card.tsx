import type { ComponentProps, ReactNode } from 'react';
import { cn } from '@/lib/cn';

export function Card({ className, ...rest }: ComponentProps<'section'>) {
  return <section className={cn('card min-w-0', className)} {...rest} />;
}

interface HeaderProps {
  title: ReactNode;
  hint?: ReactNode;
  actions?: ReactNode;
  id?: string;
}

export function CardHeader({ title, hint, actions, id }: HeaderProps) {
  return (
    <header className="flex min-h-11 flex-wrap items-center gap-x-3 gap-y-1 border-b border-line px-4 py-2">
      <h2 id={id} className="text-sm font-semibold">{title}</h2>
      {hint && <span className="text-xs text-muted">{hint}</span>}
      {actions && <div className="ml-auto flex items-center gap-2">{actions}</div>}
    </header>
  );
}
