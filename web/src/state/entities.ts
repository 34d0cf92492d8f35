/* Nodes, services and deployments as the hub last told them, by list or by event. The reducers are pure. */
import { create } from 'zustand';
import type { HubEvent } from '@/api/events';
import type { Deployment, Node, Service } from '@/api/types';

export interface Page<T> {
  items: T[];
  next: string | null;
  total: number | null;
}

export interface Collection<T> {
  byId: Record<string, T>;
  order: string[]; // newest news do not reorder; new entities come first
  next: string | null;
  total: number | null;
  loaded: boolean;
}

export interface Entities {
  node: Collection<Node>;
  service: Collection<Service>;
  deployment: Collection<Deployment>;
}
export type Kind = keyof Entities;

const empty = () => ({ byId: {}, order: [], next: null, total: null, loaded: false });
export const emptyEntities = (): Entities => ({ node: empty(), service: empty(), deployment: empty() });

export function put<T extends { id: string }>(c: Collection<T>, item: T): Collection<T> {
  const known = item.id in c.byId;
  return {
    ...c,
    byId: { ...c.byId, [item.id]: item },
    order: known ? c.order : [item.id, ...c.order],
    total: known || c.total == null ? c.total : c.total + 1,
  };
}

export function drop<T>(c: Collection<T>, id: string): Collection<T> {
  if (!(id in c.byId)) return c;
  const byId = Object.fromEntries(Object.entries(c.byId).filter(([known]) => known !== id));
  return { ...c, byId, order: c.order.filter((o) => o !== id), total: c.total == null ? null : Math.max(0, c.total - 1) };
}

export function replace<T extends { id: string }>(page: Page<T>): Collection<T> {
  return {
    byId: Object.fromEntries(page.items.map((i) => [i.id, i])),
    order: page.items.map((i) => i.id),
    next: page.next,
    total: page.total,
    loaded: true,
  };
}

export function extend<T extends { id: string }>(c: Collection<T>, page: Page<T>): Collection<T> {
  const fresh = page.items.filter((i) => !(i.id in c.byId)).map((i) => i.id);
  return {
    byId: { ...c.byId, ...Object.fromEntries(page.items.map((i) => [i.id, i])) },
    order: [...c.order, ...fresh],
    next: page.next,
    total: page.total ?? c.total,
    loaded: true,
  };
}

/* An event holds the whole entity, so applying one twice, or late ones after a list, does no harm. */
export function applyEvent(state: Entities, event: HubEvent): Entities {
  switch (event.type) {
    case 'node.created':
    case 'node.updated':
      return { ...state, node: put(state.node, event.data) };
    case 'node.deleted':
      return { ...state, node: drop(state.node, event.entityId) };
    case 'service.created':
    case 'service.updated':
      return { ...state, service: put(state.service, event.data) };
    case 'service.deleted':
      return { ...state, service: drop(state.service, event.entityId) };
    case 'deployment.created':
    case 'deployment.updated':
      return { ...state, deployment: put(state.deployment, event.data) };
    default:
      return state;
  }
}

export const useEntities = create<Entities>(() => emptyEntities());
export const forgetEntities = () => useEntities.setState(emptyEntities());

/* Events that came while a list was on its way: applied again after it, since the list may be older than they are. */
const pending = new Set<HubEvent[]>();

export function receive(event: HubEvent) {
  pending.forEach((log) => log.push(event));
  useEntities.setState((state) => applyEvent(state, event));
}

export function beginLoad<K extends Kind>(kind: K) {
  type Item = Entities[K]['byId'][string];
  const log: HubEvent[] = [];
  pending.add(log);
  const finish = (change: (c: Collection<Item>) => Collection<Item>) => {
    if (!pending.delete(log)) return;
    useEntities.setState((state) => {
      const loaded = { ...state, [kind]: change(state[kind] as Collection<Item>) };
      return log.reduce(applyEvent, loaded);
    });
  };
  return {
    replace: (page: Page<Item>) => finish(() => replace(page)),
    extend: (page: Page<Item>) => finish((c) => extend(c, page)),
    put: (item: Item) => finish((c) => ({ ...c, byId: { ...c.byId, [item.id]: item } })),
    cancel: () => void pending.delete(log),
  };
}
