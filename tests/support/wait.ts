// Waiting for a condition instead of sleeping a guessed time, and ports that are free.
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface WaitOptions {
  /** Milliseconds until the wait fails. */
  timeout?: number;
  /** Milliseconds between two looks. */
  every?: number;
  /** What is waited for, for the failure's message. */
  what?: string;
}

/**
 * Looks until `condition` gives something other than undefined, null or false, and returns that.
 * A look that throws counts as "not yet"; the last error is named when the time is over.
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  { timeout = 15_000, every = 50, what = 'the condition' }: WaitOptions = {},
): Promise<NonNullable<Exclude<T, false>>> {
  const end = Date.now() + timeout;
  let seen: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (value !== undefined && value !== null && value !== false) return value as NonNullable<Exclude<T, false>>;
      seen = value;
    } catch (error) {
      seen = error;
    }
    if (Date.now() >= end) throw new Error(`${what} did not hold within ${timeout} ms; last seen: ${String(seen)}`);
    await sleep(every);
  }
}

/** A port that nothing listens on now. The kernel hands out others for a while, so a clash is unlikely, not impossible. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
