import { useEffect } from 'react';
import { hub } from '@/api/hub';
import { prime } from '@/state/samples';

/* Figures stand on the page at once, not only with the next sample. The list of names must not change. */
export function usePrimedSamples(names: string[]) {
  useEffect(() => {
    const abort = new AbortController();
    for (const name of names) {
      hub.latest(name, abort.signal).then(
        (metrics) => prime(metrics.map((m) => ({ entityId: m.entityId, name, value: m.metric.value, at: Date.parse(m.dimensions.timestamp) }))),
        () => undefined, // the next sample will tell
      );
    }
    return () => abort.abort();
  }, [names]);
}
