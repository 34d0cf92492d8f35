/* Hub and spokes as a picture. Every node and service in it is a link with a spoken name. */
import { useEffect, useRef, useState } from 'react';
import { Link } from 'react-router';
import type { Node, Service } from '@/api/types';
import { cn } from '@/lib/cn';
import { layoutTopology, NARROW, type Place } from '@/lib/topology';
import { StatusIcon, toneOf, type Tone } from './Status';

const MOST_SPOKES = 12;
const MOST_SERVICES = 10;
const STROKE: Record<Tone, string> = { ok: 'stroke-ok', warn: 'stroke-warn', bad: 'stroke-bad', busy: 'stroke-busy', idle: 'stroke-faint' };

function useWidth() {
  const ref = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const box = ref.current;
    if (!box) return;
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry?.contentRect.width ?? 0)));
    observer.observe(box);
    return () => observer.disconnect();
  }, []);
  return [ref, width] as const;
}

const style = (p: Place) => ({ left: p.x - p.width / 2, top: p.y - p.height / 2, width: p.width, height: p.height });

function NodeBox({ place, node, services }: { place: Place; node: Node; services: Service[] }) {
  const running = services.filter((s) => s.status.deployment === 'running').length;
  const sick = services.filter((s) => s.status.health === 'unhealthy').length;
  const kind = node.type === 'experimentation' ? 'lab' : node.type;
  return (
    <Link
      to={`/nodes/${node.id}`} style={style(place)}
      className={cn('absolute flex flex-col justify-center rounded-lg border bg-surface px-3 shadow-card transition-colors hover:border-accent hover:bg-hover', node.type === 'hub' ? 'border-accent/50' : 'border-strong')}
    >
      <span className="flex items-center gap-1.5"><StatusIcon state={node.status} /><span className="truncate font-semibold">{node.name}</span><span className="sr-only">{node.status}</span></span>
      <span className="truncate text-2xs text-muted">
        {kind} · {services.length > 0 ? `${running} of ${services.length} running` : 'no services'}{sick > 0 && <span className="font-medium text-bad"> · {sick} sick</span>}
      </span>
    </Link>
  );
}

function ServicePill({ place, service }: { place: Place; service: Service }) {
  const state = service.status.deployment === 'running' && service.status.health !== 'unknown' ? service.status.health : service.status.deployment;
  return (
    <Link
      to={`/services/${service.id}`} style={style(place)}
      className="absolute flex items-center gap-1.5 rounded-full border border-line bg-surface px-2.5 text-xs transition-colors hover:border-accent hover:bg-hover"
    >
      <StatusIcon state={state} className="size-3" /><span className="truncate">{service.name}</span><span className="sr-only">{service.status.deployment}, {service.status.health}</span>
    </Link>
  );
}

export function Topology({ nodes, services }: { nodes: Node[]; services: Service[] }) {
  const [ref, width] = useWidth();
  const hub = nodes.find((n) => n.type === 'hub') ?? null;
  const others = nodes.filter((n) => n !== hub);
  const shown = others.slice(0, MOST_SPOKES);
  const near = [...services].sort((a, b) => Number(b.managed) - Number(a.managed) || a.name.localeCompare(b.name)).slice(0, MOST_SERVICES);
  const layout = layoutTopology({ width, hubId: hub?.id ?? null, spokeIds: shown.map((n) => n.id), serviceIds: near.map((s) => s.id) });
  const byId = new Map<string, Node>(nodes.map((n) => [n.id, n]));
  const serviceById = new Map<string, Service>(near.map((s) => [s.id, s]));
  const on = (id: string) => services.filter((s) => s.nodeId === id);
  const toneAt = (id: string) => toneOf(byId.get(id)?.status ?? serviceById.get(id)?.status.health ?? 'unknown');
  const left = others.length > 0 ? others.length - shown.length : services.length - near.length;
  return (
    <figure aria-label="Hub and spokes">
      <div ref={ref} className="relative w-full" style={{ height: width ? layout.height : 220 }}>
        {width > 0 && (
          <>
            <svg aria-hidden className="absolute inset-0" width={layout.width} height={layout.height}>
              {layout.links.map(({ from, to }) => {
                const bend = width < NARROW ? `${from.x} ${to.y - to.height} ${to.x} ${from.y + from.height}` : `${(from.x + to.x) / 2} ${from.y} ${(from.x + to.x) / 2} ${to.y}`;
                const tone = toneAt(to.id);
                return <path key={to.id} d={`M${from.x} ${from.y} C ${bend} ${to.x} ${to.y}`} fill="none" className={STROKE[tone]} strokeWidth="1.5" strokeOpacity="0.45" strokeDasharray={tone === 'idle' ? '3 4' : undefined} />;
              })}
            </svg>
            {[layout.hub, ...layout.spokes].map((place) => {
              const node = place && byId.get(place.id);
              return node && <NodeBox key={node.id} place={place} node={node} services={on(node.id)} />;
            })}
            {layout.services.map((place) => {
              const service = serviceById.get(place.id);
              return service && <ServicePill key={service.id} place={place} service={service} />;
            })}
          </>
        )}
      </div>
      {left > 0 && (
        <figcaption className="mt-2 text-center text-xs text-muted">
          and <Link className="link" to={others.length > 0 ? '/nodes' : '/services'}>{left} more</Link>
        </figcaption>
      )}
    </figure>
  );
}
