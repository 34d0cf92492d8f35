import type { Service } from '@/api/types';
import { usePrimedSamples } from '@/hooks/usePrimedSamples';
import { ServiceRow } from './ServiceRow';
import { Table, Th } from './ui/table';

const FIGURES = ['container.cpu.percent', 'container.memory.used.bytes'];

export function ServiceTable({ services, nodeName }: { services: Service[]; nodeName?: (id: string) => string }) {
  usePrimedSamples(FIGURES);
  return (
    <Table>
      <thead>
        <tr><Th>Name</Th><Th>State</Th><Th className="max-md:hidden">Health</Th>{nodeName && <Th className="max-md:hidden">Node</Th>}<Th className="text-right max-md:hidden">CPU</Th><Th className="text-right max-md:hidden">Memory</Th><Th className="max-md:hidden">Address</Th></tr>
      </thead>
      <tbody>{services.map((s) => <ServiceRow key={s.id} service={s} node={nodeName?.(s.nodeId)} />)}</tbody>
    </Table>
  );
}
