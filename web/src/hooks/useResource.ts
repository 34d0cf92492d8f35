import { useCallback, useEffect, useRef, useState } from 'react';
import { asHubError, type HubError } from '@/api/errors';
import { useLive } from '@/state/live';

const AGAIN_MS = 5000;

export interface Resource<T> {
  data: T | undefined;
  error: HubError | null;
  loading: boolean;
  reload: () => void;
}

/*
 * Reads something from the hub and reads it again when the key changes, when asked, or when live events had a gap.
 * Old data stays while new data is on its way; an answer that comes too late is thrown away.
 */
export function useResource<T>(key: string | null, read: (signal: AbortSignal) => Promise<T>): Resource<T> {
  const gap = useLive((s) => s.gap);
  const [round, setRound] = useState(0);
  const [state, setState] = useState<{ key: string | null; data?: T; error: HubError | null; loading: boolean }>({
    key, error: null, loading: key !== null,
  });
  const latest = useRef(read);
  useEffect(() => {
    latest.current = read;
  });
  useEffect(() => {
    if (key === null) return;
    const abort = new AbortController();
    setState((s) => (s.key === key ? { ...s, loading: true } : { key, error: null, loading: true }));
    latest.current(abort.signal).then(
      (data) => { if (!abort.signal.aborted) setState({ key, data, error: null, loading: false }); },
      (thrown: unknown) => {
        if (!abort.signal.aborted) setState((s) => ({ ...s, error: asHubError(thrown), loading: false }));
      },
    );
    return () => abort.abort();
  }, [key, gap, round]);
  const reload = useCallback(() => setRound((r) => r + 1), []);
  const mine = state.key === key;
  return { data: mine ? state.data : undefined, error: mine ? state.error : null, loading: mine ? state.loading : true, reload };
}

/* Reads again every few seconds while something in it is under way. */
export function useAgainWhile<T>(underWay: boolean, { data, reload }: Resource<T>) {
  useEffect(() => {
    if (!underWay) return;
    const timer = setTimeout(reload, AGAIN_MS);
    return () => clearTimeout(timer);
  }, [underWay, data, reload]);
}
