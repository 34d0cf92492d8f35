import { Compass } from 'lucide-react';
import { Link, useLocation } from 'react-router';
import { Empty } from '@/components/States';
import { PageHeader } from '@/components/PageHeader';
import { Button } from '@/components/ui/button';

const PLACES = [['/dashboard', 'Overview'], ['/nodes', 'Nodes'], ['/services', 'Services'], ['/deployments', 'Deployments']] as const;

export default function NotFound() {
  const { pathname } = useLocation();
  return (
    <>
      <PageHeader title="Page not found" />
      <Empty
        icon={Compass} title="There is nothing at this address"
        action={<>{PLACES.map(([to, label]) => <Button key={to} asChild><Link to={to}>{label}</Link></Button>)}</>}
      >
        <span className="font-mono text-xs break-all">{pathname}</span> is no page of this dashboard. The link may be old or mistyped.
      </Empty>
    </>
  );
}
