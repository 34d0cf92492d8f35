import { SlidersHorizontal } from 'lucide-react';
import { useState } from 'react';
import { hub } from '@/api/hub';
import type { Setting } from '@/api/types';
import { Empty, Failed } from '@/components/States';
import { Card, CardHeader } from '@/components/ui/card';
import { Checkbox, Input } from '@/components/ui/field';
import { SkeletonRows } from '@/components/ui/skeleton';
import { Table, Td, Th, Tr } from '@/components/ui/table';
import { useResource } from '@/hooks/useResource';

function Value({ setting: { value } }: { setting: Setting }) {
  if (value === null) return <span className="text-faint">not set</span>;
  return <span className="font-mono break-all">{Array.isArray(value) ? value.join(', ') : String(value)}</span>;
}

export function Config() {
  const { data: settings, error, reload } = useResource('config', (signal) => hub.config(signal));
  const [text, setText] = useState('');
  const [changed, setChanged] = useState(false);
  const needle = text.trim().toLowerCase();
  const shown = (settings ?? []).filter((s) => (!changed || s.source !== 'default')
    && (!needle || [s.key, s.env, s.description].some((w) => w?.toLowerCase().includes(needle))));
  return (
    <Card aria-labelledby="t-config">
      <CardHeader id="t-config" title="Configuration in force" hint="Changed in the settings file or by environment variables; secrets are masked"
        actions={<><label className="flex items-center gap-1.5 text-xs whitespace-nowrap"><Checkbox checked={changed} onChange={(e) => setChanged(e.target.checked)} />Only changed</label>
          <Input type="search" aria-label="Find a setting" placeholder="Find" value={text} onChange={(e) => setText(e.target.value)} className="!w-44" /></>} />
      {!settings ? (error ? <Failed error={error} retry={reload} what="The configuration" /> : <SkeletonRows rows={6} />)
        : shown.length === 0 ? <Empty icon={SlidersHorizontal} title="No setting matches" />
        : (
          <Table>
            <thead><tr><Th>Setting</Th><Th className="max-md:hidden">Value</Th><Th className="max-md:hidden">From</Th></tr></thead>
            <tbody>
              {shown.map((s) => (
                <Tr key={s.key}>
                  <Td><span className="font-mono text-xs font-medium">{s.key}</span>{s.env && <span className="ml-2 font-mono text-2xs text-faint">{s.env}</span>}<p className="text-xs text-muted">{s.description}</p><p className="mt-1 text-xs md:hidden"><Value setting={s} /> <span className="text-muted">({s.source})</span></p></Td>
                  <Td className="max-w-80 min-w-36 text-xs max-md:hidden"><Value setting={s} /></Td>
                  <Td className="text-muted max-md:hidden">{s.source}</Td>
                </Tr>
              ))}
            </tbody>
          </Table>
        )}
    </Card>
  );
}
