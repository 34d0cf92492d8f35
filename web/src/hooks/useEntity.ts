import { hub } from '@/api/hub';
import { useEntities, beginLoad, type Entities, type Kind } from '@/state/entities';
import { useResource } from './useResource';

type Item<K extends Kind> = Entities[K]['byId'][string];

const READERS: { [K in Kind]: (id: string, signal?: AbortSignal) => Promise<Item<K>> } = {
  node: hub.node,
  service: hub.service,
  deployment: hub.deployment,
};

/* One entity: read when the page opens, then as the events tell it. */
export function useEntity<K extends Kind>(kind: K, id: string | undefined) {
  const { data, error, reload } = useResource(id ? `${kind}/${id}` : null, async (signal) => {
    const load = beginLoad(kind);
    try {
      const item = await READERS[kind](id ?? '', signal);
      load.put(item);
      return item;
    } finally {
      load.cancel();
    }
  });
  /* The page's address may carry a name, as people write them; entities are kept by id. */
  const key = data?.id ?? id;
  const known = useEntities((s) => (key ? (s[kind].byId[key] as Item<K> | undefined) : undefined));
  const removed = !known && data !== undefined;
  return { item: known, removed, error: known ? null : error, reload };
}
