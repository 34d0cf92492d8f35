import { ExternalLink } from 'lucide-react';
import { Link } from 'react-router';
import type { Service } from '@/api/types';
import { bytes, percent } from '@/lib/format';
import { useLatest } from '@/state/samples';
import { Status } from './Status';
import { Td, Tr } from './ui/table';

export const imageOf = (s: Service) => (s.container.tag ? `${s.container.image}:${s.container.tag}` : s.container.image);

/* Links that came from a container's labels are not trusted to be web addresses. */
export const webUrl = (url: string | null): string | null => (url && /^https?:\/\//.test(url) ? url : null);

export function ServiceRow({ service: s, node }: { service: Service; node?: string }) {
  const cpu = useLatest(s.id, 'container.cpu.percent');
  const memory = useLatest(s.id, 'container.memory.used.bytes');
  const url = webUrl(s.networking.url);
  return (
    <Tr>
      <Td className="max-w-72 max-md:max-w-[50vw]">
        <Link to={`/services/${s.id}`} className="font-medium break-words hover:underline">{s.name}</Link>
        {s.instances.wanted > 1 && <span className="ml-1.5 text-xs text-muted" title={`Instance ${s.ordinal} of ${s.instances.wanted}`}>{s.ordinal}/{s.instances.wanted}</span>}
        {!s.managed && <span className="ml-2 rounded border border-line px-1 text-2xs text-muted" title="Seen on the machine, not deployed by hbcloud">found</span>}
        <p className="truncate font-mono text-2xs text-muted" title={imageOf(s)}>{imageOf(s)}</p>
      </Td>
      <Td><span className="flex flex-col items-start gap-1"><Status state={s.status.deployment} /><span className="md:hidden"><Status state={s.status.health} /></span></span></Td>
      <Td className="max-md:hidden"><Status state={s.status.health} /></Td>
      {node !== undefined && <Td className="whitespace-nowrap max-md:hidden"><Link to={`/nodes/${s.nodeId}`} className="hover:underline">{node}</Link></Td>}
      <Td className="text-right whitespace-nowrap max-md:hidden">{percent(cpu)}</Td>
      <Td className="text-right whitespace-nowrap max-md:hidden">{bytes(memory)}</Td>
      <Td className="whitespace-nowrap max-md:hidden">
        {url && <a href={url} target="_blank" rel="noreferrer" className="link inline-flex items-center gap-1">{url.replace(/^https?:\/\//, '')}<ExternalLink aria-label="opens in a new tab" className="size-3" /></a>}
      </Td>
    </Tr>
  );
}
