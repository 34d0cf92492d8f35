/* Where a service is not as it was deployed: each difference by its field, and the way back. */
import { Wrench } from 'lucide-react';
import { useCallback } from 'react';
import { useNavigate } from 'react-router';
import { hub } from '@/api/hub';
import type { Service } from '@/api/types';
import { useAction } from '@/hooks/useAction';
import { NOTHING } from '@/lib/format';
import { useMay } from '@/state/session';
import { Button } from './ui/button';
import { Card, CardHeader } from './ui/card';
import { Table, Td, Th, Tr } from './ui/table';

export function DriftCard({ service: s }: { service: Service }) {
  const navigate = useNavigate();
  const mayAct = useMay('operator');
  const repair = useCallback(async () => {
    const { deployment_id } = await hub.repair(s.id);
    if (!deployment_id) return `${s.name} is as deployed again.`;
    void navigate(`/deployments/${deployment_id}`);
    return undefined;
  }, [s.id, s.name, navigate]);
  const { start, busy } = useAction(repair);
  const drift = s.status.drift ?? [];
  if (drift.length === 0) return null;
  return (
    <Card aria-labelledby="t-drift">
      <CardHeader id="t-drift" title="Not as deployed" hint={`${drift.length} found`} actions={mayAct && <Button size="sm" busy={busy} onClick={() => void start()}><Wrench aria-hidden />Repair</Button>} />
      <Table>
        <thead><tr><Th>Field</Th><Th>Wanted</Th><Th>Is</Th></tr></thead>
        <tbody>{drift.map((d) => <Tr key={d.field}><Td className="font-mono text-xs break-all">{d.field}</Td><Td className="font-mono text-xs break-all text-muted">{d.wanted ?? NOTHING}</Td><Td className="font-mono text-xs break-all">{d.actual ?? NOTHING}</Td></Tr>)}</tbody>
      </Table>
    </Card>
  );
}
