import { Plug } from 'lucide-react';
import { integrationState, MONITORS } from '@/components/Integrations';
import { Facts } from '@/components/Facts';
import { Empty, Failed } from '@/components/States';
import { Status } from '@/components/Status';
import { Card, CardHeader } from '@/components/ui/card';
import { SkeletonRows } from '@/components/ui/skeleton';
import { useSystem } from '@/hooks/useSystem';
import { dateTime } from '@/lib/format';

const TITLES = new Map([
  ...MONITORS, ['honeybadger', 'Honeybadger'], ['caddy', 'Caddy'], ['portainer', 'Portainer'], ['tailscale', 'Tailscale'], ['doppler', 'Doppler'],
  ['cloudflare', 'Cloudflare'], ['hetzner', 'Hetzner'], ['digitalocean', 'DigitalOcean'], ['azure', 'Azure'], ['browserstack', 'BrowserStack'], ['lambdatest', 'LambdaTest'],
]);

export function Integrations() {
  const { data: system, error, reload } = useSystem();
  if (!system) return error ? <Failed error={error} retry={reload} what="The hub’s state" /> : <SkeletonRows rows={4} />;
  const { engine } = system;
  return (
    <div className="grid items-start gap-4 lg:grid-cols-2">
      <Card aria-labelledby="t-integrations">
        <CardHeader id="t-integrations" title="Integrations" hint="Set up by settings" />
        {system.integrations.length === 0 ? <Empty icon={Plug} title="None are known to this hub" /> : (
          <ul className="divide-y divide-line">
            {system.integrations.map((i) => {
              const [state, label] = integrationState(i);
              return (
                <li key={i.name} className="flex flex-wrap items-center justify-between gap-x-4 gap-y-1 px-4 py-2">
                  <span>{TITLES.get(i.name) ?? i.name}</span><Status state={state} label={label} />
                  {i.reason && <p className="w-full text-xs text-muted">{i.reason}</p>}
                </li>
              );
            })}
          </ul>
        )}
      </Card>
      <Card aria-labelledby="t-hub">
        <CardHeader id="t-hub" title="The hub" />
        <Facts facts={[
          ['Version', system.version],
          ['Running since', dateTime(system.startedAt)],
          ['Database', `${system.database.kind}, schema ${system.database.schemaVersion}`],
          ['Data', <span key="d" className="font-mono text-xs">{system.dataDirectory}</span>],
          ['Engine', engine.available ? `${engine.name ?? 'engine'} ${engine.version ?? ''}` : <span key="e"><Status state="warning" label="not available" /> <span className="text-muted">{engine.reason}</span></span>],
          ['Engine API', engine.available && `${engine.usedApiVersion ?? '?'} (of ${engine.minApiVersion ?? '?'} to ${engine.apiVersion ?? '?'})`],
          ['Rootless', engine.rootless == null ? null : engine.rootless ? 'yes' : 'no'],
        ]} />
      </Card>
    </div>
  );
}
