import { Compass } from 'lucide-react';
import { Link } from 'react-router';
import { Empty } from '@/components/States';
import { PageHeader } from '@/components/PageHeader';
import { Button } from '@/components/ui/button';

export default function NotFound() {
  return (
    <>
      <PageHeader title="Page not found" />
      <Empty icon={Compass} title="There is nothing at this address" action={<Button asChild><Link to="/dashboard">Go to the overview</Link></Button>} />
    </>
  );
}
