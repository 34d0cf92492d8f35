import { ChevronRight } from 'lucide-react';
import { useEffect, type ReactNode } from 'react';
import { Link } from 'react-router';

interface Props {
  title: string;
  parent?: { to: string; label: string };
  badge?: ReactNode;
  hint?: ReactNode;
  actions?: ReactNode;
}

export function PageHeader({ title, parent, badge, hint, actions }: Props) {
  useEffect(() => {
    document.title = `${title} · hbcloud`;
  }, [title]);
  return (
    <header className="mb-5 flex flex-wrap items-start gap-x-4 gap-y-3">
      <div className="min-w-0 flex-1">
        {parent && (
          <nav aria-label="Breadcrumb" className="mb-0.5 flex items-center gap-0.5 text-xs text-muted">
            <Link to={parent.to} className="hover:text-ink hover:underline">{parent.label}</Link><ChevronRight aria-hidden className="size-3" />
          </nav>
        )}
        <div className="flex flex-wrap items-center gap-x-2.5 gap-y-1">
          <h1 tabIndex={-1} className="min-w-0 text-xl font-semibold tracking-tight break-words outline-none">{title}</h1>
          {badge}
        </div>
        {hint && <div className="mt-0.5 text-muted">{hint}</div>}
      </div>
      {actions && <div className="flex flex-wrap items-center gap-2">{actions}</div>}
    </header>
  );
}
