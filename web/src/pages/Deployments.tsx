import { Rocket, SearchX } from 'lucide-react';
import { useState } from 'react';
import { Link } from 'react-router';
import { hub } from '@/api/hub';
import { DeploymentRow } from '@/components/DeploymentRow';
import { Filters, LoadMore } from '@/components/Filters';
import { PageHeader } from '@/components/PageHeader';
import { Empty, Failed } from '@/components/States';
import { Button } from '@/components/ui/button';
import { Card } from '@/components/ui/card';
import { SkeletonRows } from '@/components/ui/skeleton';
import { useCollection } from '@/hooks/useCollection';
import { useResource } from '@/hooks/useResource';
import { duration, percent } from '@/lib/format';
import { useMay } from '@/state/session';

const STATES = ['initiated', 'building', 'deploying', 'testing', 'completed', 'failed', 'rolled_back'];

export default function Deployments() {
  const deployments = useCollection('deployment');
  const { data: analytics } = useResource('deployment-analytics', (signal) => hub.deploymentAnalytics(signal));
  const mayDeploy = useMay('operator');
  const [text, setText] = useState('');
  const [state, setState] = useState('');
  const [environment, setEnvironment] = useState('');
  const needle = text.trim().toLowerCase();
  const shown = deployments.items
    .filter((d) => (!state || d.status.state === state) && (!environment || d.deployment.environment === environment)
      && (!needle || [d.serviceName, d.deployment.initiatedBy].some((w) => w.toLowerCase().includes(needle))))
    .sort((a, b) => b.timing.startedAt.localeCompare(a.timing.startedAt));
  const deploy = mayDeploy && <Button asChild variant="primary"><Link to="/services/new"><Rocket aria-hidden />Deploy service</Link></Button>;
  const hint = analytics && analytics.success_rate != null
    ? `${percent(analytics.success_rate, 0)} completed${analytics.average_duration != null ? `, ${duration(analytics.average_duration)} on average` : ''}`
    : undefined;
  return (
    <>
      <PageHeader title="Deployments" hint={hint} actions={deploy} />
      <Filters text={text} onText={setText} placeholder="Service, person" choices={[
        { label: 'State', value: state, onChange: setState, options: STATES },
        { label: 'Stage', value: environment, onChange: setEnvironment, options: ['production', 'staging', 'development'] },
      ]} />
      <Card>
        {deployments.error && !deployments.loaded ? <Failed error={deployments.error} retry={deployments.reload} what="The deployments" />
          : !deployments.loaded ? <SkeletonRows rows={5} />
          : deployments.items.length === 0 ? <Empty icon={Rocket} title="Nothing has been deployed yet" action={deploy}>Deploy a first service: an image and a port are enough.</Empty>
          : shown.length === 0 ? <Empty icon={SearchX} title="No deployment matches these filters" />
          : <ul className="divide-y divide-line">{shown.map((d) => <DeploymentRow key={d.id} deployment={d} />)}</ul>}
      </Card>
      <LoadMore next={deployments.next} loaded={deployments.items.length} total={null} busy={deployments.loadingMore} onMore={() => void deployments.loadMore()} />
    </>
  );
}
