/* What comes over /v1/events. */
import type { components } from './schema.gen';
import type { Deployment, Node, Service } from './types';

type Envelope<T extends string, D> = Omit<components['schemas']['Event'], 'type' | 'data' | 'entityId'> & {
  type: T;
  entityId: string;
  data: D;
};

export type HubEvent =
  | Envelope<'node.created' | 'node.updated', Node>
  | Envelope<'service.created' | 'service.updated', Service>
  | Envelope<'deployment.created' | 'deployment.updated', Deployment>
  | Envelope<'node.deleted' | 'service.deleted', null>
  | Envelope<'metric.sampled', { values: Record<string, number>; at?: string }>
  | Envelope<'system.updated', unknown>;

export const EVENT_TYPES: HubEvent['type'][] = [
  'node.created', 'node.updated', 'node.deleted',
  'service.created', 'service.updated', 'service.deleted',
  'deployment.created', 'deployment.updated',
  'metric.sampled', 'system.updated',
];

/* Null for what this dashboard does not know: a newer hub may tell more. */
export function parseEvent(text: string): HubEvent | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || !('type' in value)) return null;
    return EVENT_TYPES.includes(value.type as HubEvent['type']) ? (value as HubEvent) : null;
  } catch {
    return null;
  }
}
