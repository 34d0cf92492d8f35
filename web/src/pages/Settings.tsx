import { useNavigate, useParams } from 'react-router';
import { PageHeader } from '@/components/PageHeader';
import { Tabs, TabsContent, TabsList, TabsTrigger } from '@/components/ui/tabs';
import { useMay } from '@/state/session';
import { Audit } from './settings/Audit';
import { Ci } from './settings/Ci';
import { Config } from './settings/Config';
import { Integrations } from './settings/Integrations';
import { Jobs } from './settings/Jobs';
import { Keys } from './settings/Keys';
import { Registries } from './settings/Registries';
import { Secrets } from './settings/Secrets';
import { SessionCard } from './settings/SessionCard';
import { Volumes } from './settings/Volumes';

const TABS = [
  { id: 'keys', label: 'Keys', body: Keys, admin: true },
  { id: 'secrets', label: 'Secrets', body: Secrets, admin: false },
  { id: 'registries', label: 'Registries', body: Registries, admin: false },
  { id: 'volumes', label: 'Volumes', body: Volumes, admin: false },
  { id: 'ci', label: 'CI', body: Ci, admin: false },
  { id: 'jobs', label: 'Jobs', body: Jobs, admin: false },
  { id: 'audit', label: 'Audit', body: Audit, admin: true },
  { id: 'config', label: 'Configuration', body: Config, admin: true },
  { id: 'integrations', label: 'Integrations', body: Integrations, admin: false },
  { id: 'session', label: 'Session', body: SessionCard, admin: false },
];

export default function Settings() {
  const { tab } = useParams();
  const navigate = useNavigate();
  const admin = useMay('admin');
  const open = TABS.filter((t) => admin || !t.admin);
  const value = open.find((t) => t.id === tab)?.id ?? open[0]?.id ?? '';
  return (
    <>
      <PageHeader title="Settings" />
      <Tabs value={value} onValueChange={(id) => void navigate(`/settings/${id}`)} activationMode="manual">
        <TabsList aria-label="Settings">{open.map((t) => <TabsTrigger key={t.id} value={t.id}>{t.label}</TabsTrigger>)}</TabsList>
        {open.map((t) => <TabsContent key={t.id} value={t.id}><t.body /></TabsContent>)}
      </Tabs>
    </>
  );
}
