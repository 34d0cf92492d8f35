/* Live metric samples: the latest of each entity for tables and cards, and a feed for the charts on the page. */
import { create } from 'zustand';
import type { HubEvent } from '@/api/events';

export interface Latest {
  at: number; // ms
  values: Record<string, number>;
}

export const useSamples = create<{ latest: Record<string, Latest> }>(() => ({ latest: {} }));

export const forgetSamples = () => useSamples.setState({ latest: {} });

type Listener = (sample: Latest) => void;
const listeners = new Map<string, Set<Listener>>();

export function receiveSample(event: Extract<HubEvent, { type: 'metric.sampled' }>) {
  const { entityId } = event;
  const latest = { at: Date.parse(event.data.at ?? event.at), values: event.data.values };
  useSamples.setState((s) => ({
    latest: { ...s.latest, [entityId]: { at: latest.at, values: { ...s.latest[entityId]?.values, ...latest.values } } },
  }));
  listeners.get(entityId)?.forEach((listen) => listen(latest));
}

export function onSample(entityId: string, listen: Listener): () => void {
  const set = listeners.get(entityId) ?? new Set();
  listeners.set(entityId, set.add(listen));
  return () => {
    set.delete(listen);
    if (set.size === 0) listeners.delete(entityId);
  };
}

export const useLatest = (entityId: string | undefined, metric: string): number | undefined =>
  useSamples((s) => (entityId ? s.latest[entityId]?.values[metric] : undefined));

/* Values that were read, for entities that no event has told of yet. */
export function prime(values: { entityId: string; name: string; value: number; at: number }[]) {
  useSamples.setState((s) => {
    const latest = { ...s.latest };
    for (const { entityId, name, value, at } of values) {
      const known = latest[entityId];
      if (known && known.values[name] !== undefined && known.at >= at) continue;
      latest[entityId] = { at: Math.max(known?.at ?? 0, at), values: { ...known?.values, [name]: value } };
    }
    return { latest };
  });
}
