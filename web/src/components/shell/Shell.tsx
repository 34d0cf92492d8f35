import { BookOpen, Boxes, LayoutDashboard, Rocket, Server, Waypoints, Settings, type LucideIcon } from 'lucide-react';
import { Suspense, useEffect } from 'react';
import { Link, NavLink, Outlet, useLocation } from 'react-router';
import { cn } from '@/lib/cn';
import { useLive, useOffline } from '@/state/live';
import { useSession } from '@/state/session';
import { Boundary } from '../Boundary';
import { Logo } from '../Logo';
import { SkeletonRows } from '../ui/skeleton';
import { ConnectionBanner } from './ConnectionBanner';
import { ThemeToggle } from './ThemeToggle';

const PLACES: { to: string; label: string; short?: string; icon: LucideIcon }[] = [
  { to: '/dashboard', label: 'Overview', icon: LayoutDashboard },
  { to: '/nodes', label: 'Nodes', icon: Server },
  { to: '/services', label: 'Services', icon: Boxes },
  { to: '/deployments', label: 'Deployments', short: 'Deploys', icon: Rocket },
  { to: '/routes', label: 'Routes', icon: Waypoints },
  { to: '/settings', label: 'Settings', icon: Settings },
];

function LiveDot() {
  const phase = useLive((s) => s.link.phase);
  const open = phase === 'open';
  return (
    <span className="inline-flex items-center gap-1.5 text-2xs text-muted" title={open ? 'Changes appear as they happen' : 'Not connected to live changes'}>
      <span aria-hidden className={cn('size-1.5 rounded-full', open ? 'bg-ok' : 'border border-muted')} />
      {open ? 'Live' : 'Not live'}
    </span>
  );
}

function SideNav() {
  const name = useSession(({ state }) => (state.phase === 'in' ? state.session.name : ''));
  const role = useSession(({ state }) => (state.phase === 'in' ? state.session.role : ''));
  return (
    <aside className="sticky top-0 flex h-dvh w-52 shrink-0 flex-col border-r border-line bg-surface px-3 py-4 max-md:hidden">
      <div className="mb-5 flex items-center gap-2 px-2"><Logo /><span className="font-semibold tracking-tight">hbcloud</span><span className="ml-auto"><LiveDot /></span></div>
      <nav aria-label="Main" className="space-y-0.5">
        {PLACES.map(({ to, label, icon: Icon }) => (
          <NavLink
            key={to} to={to}
            className={({ isActive }) => cn('flex items-center gap-2.5 rounded-md px-2 py-1.5 font-medium transition-colors',
              isActive ? 'bg-accent-soft text-accent-ink' : 'text-muted hover:bg-hover hover:text-ink')}
          >
            <Icon aria-hidden className="size-4" />{label}
          </NavLink>
        ))}
      </nav>
      <div className="mt-auto space-y-1">
        <a href="/docs" className="flex items-center gap-2.5 rounded-md px-2 py-1.5 text-muted hover:bg-hover hover:text-ink"><BookOpen aria-hidden className="size-4" />API reference</a>
        <div className="flex items-center gap-2 border-t border-line px-2 pt-3">
          <Link to="/settings/session" title="Session and sign out" className="min-w-0 flex-1 rounded-md hover:underline"><span className="block truncate font-medium">{name}</span><span className="block text-2xs text-muted">{role}</span></Link>
          <ThemeToggle />
        </div>
      </div>
    </aside>
  );
}

function BottomNav() {
  return (
    <nav aria-label="Main" className="fixed inset-x-0 bottom-0 z-40 flex border-t border-line bg-surface pb-[env(safe-area-inset-bottom)] md:hidden">
      {PLACES.map(({ to, label, short, icon: Icon }) => (
        <NavLink key={to} to={to} className={({ isActive }) => cn('flex min-w-0 flex-1 flex-col items-center gap-0.5 py-2 text-2xs font-medium', isActive ? 'text-accent-ink' : 'text-muted')}>
          <Icon aria-hidden className="size-5" /><span className="max-w-full truncate">{short ?? label}</span>
        </NavLink>
      ))}
    </nav>
  );
}

export function Shell() {
  const { pathname } = useLocation();
  const offline = useOffline();
  useEffect(() => {
    window.scrollTo(0, 0);
  }, [pathname]);
  return (
    <div className="flex min-h-dvh">
      <a href="#main" className="sr-only z-50 rounded-md bg-accent font-medium text-on-accent focus:not-sr-only focus:fixed focus:top-3 focus:left-3 focus:px-3 focus:py-2">Skip to content</a>
      <SideNav />
      <div className="flex min-w-0 flex-1 flex-col">
        <header className="flex h-12 items-center gap-2 border-b border-line bg-surface px-4 md:hidden"><Logo /><span className="font-semibold">hbcloud</span><LiveDot /><span className="ml-auto"><ThemeToggle /></span></header>
        <ConnectionBanner />
        <main id="main" tabIndex={-1} className={cn('mx-auto w-full max-w-[1240px] flex-1 px-8 py-7 outline-none max-md:px-4 max-md:py-5 max-md:pb-24', offline && 'stale-data')}>
          <Boundary key={pathname}>
            <Suspense fallback={<SkeletonRows rows={6} />}><Outlet /></Suspense>
          </Boundary>
        </main>
      </div>
      <BottomNav />
    </div>
  );
}
