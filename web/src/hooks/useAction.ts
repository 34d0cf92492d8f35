import { useCallback, useRef, useState } from 'react';
import { asHubError, type HubError } from '@/api/errors';
import { toastDone, toastError } from '@/state/toasts';

/* Runs one write at a time; says in a toast what was done or why it was not. */
export function useAction<A extends unknown[]>(run: (...args: A) => Promise<string | undefined>, options: { quietError?: boolean } = {}) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<HubError | null>(null);
  const running = useRef(false);
  const quiet = options.quietError ?? false;
  const start = useCallback(async (...args: A): Promise<boolean> => {
    if (running.current) return false;
    running.current = true;
    setBusy(true);
    setError(null);
    try {
      const done = await run(...args);
      if (done) toastDone(done);
      return true;
    } catch (thrown) {
      setError(asHubError(thrown));
      if (!quiet) toastError(thrown);
      return false;
    } finally {
      running.current = false;
      setBusy(false);
    }
  }, [run, quiet]);
  return { start, busy, error };
}
