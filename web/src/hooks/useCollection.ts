import { useCallback, useEffect, useState } from 'react';
import { asHubError, type HubError } from '@/api/errors';
import { hub } from '@/api/hub';
import { useLive } from '@/state/live';
import { useEntities, beginLoad, type Entities, type Kind, type Page } from '@/state/entities';

type Item<K extends Kind> = Entities[K]['byId'][string];

const READERS: { [K in Kind]: (cursor: string | undefined, signal?: AbortSignal) => Promise<Page<Item<K>>> } = {
  node: hub.nodes,
  service: hub.services,
  deployment: hub.deployments,
};

/* The first page of a kind, kept true by events; more pages on demand. */
export function useCollection<K extends Kind>(kind: K) {
  const collection = useEntities((s) => s[kind]);
  const gap = useLive((s) => s.gap);
  const [error, setError] = useState<HubError | null>(null);
  const [more, setMore] = useState(false);
  const [round, setRound] = useState(0);

  useEffect(() => {
    const abort = new AbortController();
    const load = beginLoad(kind);
    READERS[kind](undefined, abort.signal).then(
      (page) => { load.replace(page); setError(null); },
      (thrown: unknown) => { load.cancel(); if (!abort.signal.aborted) setError(asHubError(thrown)); },
    );
    return () => { load.cancel(); abort.abort(); };
  }, [kind, gap, round]);

  const { next } = collection;
  const loadMore = useCallback(async () => {
    if (!next) return;
    setMore(true);
    const load = beginLoad(kind);
    try {
      load.extend(await READERS[kind](next));
    } catch (thrown) {
      load.cancel();
      setError(asHubError(thrown));
    } finally {
      setMore(false);
    }
  }, [kind, next]);

  const items = collection.order.flatMap((id) => collection.byId[id] ?? []) as Item<K>[];
  const reload = useCallback(() => setRound((r) => r + 1), []);
  return { items, total: collection.total, loaded: collection.loaded, next, error, reload, loadMore, loadingMore: more };
}
