/* Whether the outside monitoring is set up, told as it is. */
import type { System } from '@/api/types';
import { Status } from './Status';

type Integration = System['integrations'][number];

export const MONITORS: [name: string, title: string][] = [
  ['datadog', 'Datadog'], ['newrelic', 'New Relic'], ['sentry', 'Sentry'], ['consul', 'Consul'],
];

const plain = (name: string) => name.toLowerCase().replace(/[^a-z]/g, '');
export const findIntegration = (system: System | undefined, name: string): Integration | undefined =>
  system?.integrations.find((i) => plain(i.name) === name);

export function integrationState(i: Integration | undefined): [state: string, label: string] {
  if (!i || !i.configured) return ['unknown', 'not configured'];
  if (i.answering === true) return ['healthy', 'answering'];
  if (i.answering === false) return ['unhealthy', 'not answering'];
  return ['unknown', 'configured'];
}

export function MonitoringStatus({ system }: { system: System | undefined }) {
  return (
    <ul className="divide-y divide-line">
      {MONITORS.map(([name, title]) => {
        const integration = findIntegration(system, name);
        const [state, label] = integrationState(integration);
        return (
          <li key={name} className="flex items-center justify-between gap-3 px-4 py-2">
            <span title={integration?.reason}>{title}</span>
            <span data-testid={name === 'consul' ? undefined : `${name}-status`}><Status state={state} label={system ? label : 'asking…'} /></span>
          </li>
        );
      })}
    </ul>
  );
}
