import { Archive, HardDrive, Trash2 } from 'lucide-react';
import { useCallback, useState } from 'react';
import { hub } from '@/api/hub';
import type { Volume } from '@/api/types';
import { ConfirmByName } from '@/components/ConfirmByName';
import { Empty, Failed } from '@/components/States';
import { Button } from '@/components/ui/button';
import { Card, CardHeader } from '@/components/ui/card';
import { SkeletonRows } from '@/components/ui/skeleton';
import { Table, Td, Th, Tr } from '@/components/ui/table';
import { useAction } from '@/hooks/useAction';
import { useResource } from '@/hooks/useResource';
import { NOTHING } from '@/lib/format';
import { useMay } from '@/state/session';

function Remove({ volume: v, onClose, onDone }: { volume: Volume; onClose: () => void; onDone: () => void }) {
  const remove = useCallback(async () => {
    await hub.removeVolume(v.name, v.nodeId);
    onDone();
    onClose();
    return `${v.name} is being removed. A snapshot of it is kept.`;
  }, [v.name, v.nodeId, onDone, onClose]);
  const { start, busy } = useAction(remove);
  return (
    <ConfirmByName open onClose={onClose} title={`Remove ${v.name}?`} name={v.name} action="Remove volume" busy={busy} onConfirm={() => void start()}>
      <p>Its files are copied into a snapshot on the hub first; then the volume is removed from {v.node}.</p>
    </ConfirmByName>
  );
}

function Snapshot({ volume: v }: { volume: Volume }) {
  const take = useCallback(async () => {
    await hub.snapshotVolume(v.name, v.nodeId);
    return `A snapshot of ${v.name} is being taken; Jobs shows it.`;
  }, [v.name, v.nodeId]);
  const { start, busy } = useAction(take);
  return <Button size="sm" busy={busy} aria-label={`Snapshot of ${v.name}`} onClick={() => void start()}><Archive aria-hidden /><span className="max-sm:hidden">Snapshot</span></Button>;
}

const users = (v: Volume) => v.usedBy.map((u) => u.service ?? u.container).join(', ');

export function Volumes() {
  const { data, error, reload } = useResource('volumes', (signal) => hub.volumes(signal));
  const mayAct = useMay('operator');
  const [removing, setRemoving] = useState<Volume | null>(null);
  return (
    <Card aria-labelledby="t-volumes">
      <CardHeader id="t-volumes" title="Volumes" hint="they stay when containers go" />
      {!data ? (error ? <Failed error={error} retry={reload} what="The volumes" /> : <SkeletonRows rows={3} />)
        : data.length === 0 ? <Empty icon={HardDrive} title="No volume">A service that names one gets it with its deployment.</Empty>
        : (
          <Table>
            <thead><tr><Th>Name</Th><Th>Used by</Th><Th className="max-sm:hidden">Node</Th><Th><span className="sr-only">Action</span></Th></tr></thead>
            <tbody>
              {data.map((v) => (
                <Tr key={`${v.nodeId}/${v.name}`}>
                  <Td className="font-mono text-xs font-medium [overflow-wrap:anywhere]">{v.name}</Td><Td>{users(v) || <span className="text-faint">{v.service ?? NOTHING}</span>}</Td><Td className="max-sm:hidden">{v.node}</Td>
                  <Td className="text-right whitespace-nowrap">
                    {mayAct && <Snapshot volume={v} />}
                    {mayAct && <Button size="icon" variant="ghost" disabled={v.inUse} title={v.inUse ? 'It is in use.' : undefined} aria-label={`Remove ${v.name}`} onClick={() => setRemoving(v)}><Trash2 aria-hidden /></Button>}
                  </Td>
                </Tr>
              ))}
            </tbody>
          </Table>
        )}
      {removing && <Remove volume={removing} onClose={() => setRemoving(null)} onDone={reload} />}
    </Card>
  );
}
