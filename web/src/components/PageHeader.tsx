import { ChevronRight } from 'lucide-react';
import { useEffect, useRef, type ReactNode } from 'react';
import { Link, useLocation } from 'react-router';

interface Props {
  title: string;
  parent?: { to: string; label: string };
  badge?: ReactNode;
  hint?: ReactNode;
  actions?: ReactNode;
}

let loaded = false; // the first page of a visit: there the browser has put the focus where it belongs

/* After a change of page keyboard and screen reader go on at its heading, as after a full load. */
function useFocusAfterNavigation() {
  const heading = useRef<HTMLHeadingElement>(null);
  const { pathname } = useLocation();
  useEffect(() => {
    const inside = document.activeElement?.closest('main');
    if (loaded && !inside) heading.current?.focus({ preventScroll: true });
    loaded = true;
  }, [pathname]);
  return heading;
}

export function PageHeader({ title, parent, badge, hint, actions }: Props) {
  const heading = useFocusAfterNavigation();
  useEffect(() => {
    document.title = `${title} · hbcloud`;
  }, [title]);
  return (
    <header className="mb-5 flex flex-wrap items-start gap-x-4 gap-y-3">
      <div className="min-w-0 flex-1 basis-48">
        {parent && (
          <nav aria-label="Breadcrumb" className="mb-0.5 flex items-center gap-0.5 text-xs text-muted">
            <Link to={parent.to} className="hover:text-ink hover:underline">{parent.label}</Link><ChevronRight aria-hidden className="size-3" />
          </nav>
        )}
        <div className="flex flex-wrap items-center gap-x-2.5 gap-y-1">
          <h1 ref={heading} tabIndex={-1} className="min-w-0 text-xl font-semibold tracking-tight break-words outline-none">{title}</h1>
          {badge}
        </div>
        {hint && <div className="mt-0.5 text-muted">{hint}</div>}
      </div>
      {actions && <div className="flex flex-wrap items-center gap-2">{actions}</div>}
    </header>
  );
}
