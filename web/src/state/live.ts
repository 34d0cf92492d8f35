/* The connection to the hub's events: opened once for the page, reopened by us with a growing wait that the page shows. */
import { create } from 'zustand';
import { EVENT_TYPES, parseEvent, type HubEvent } from '@/api/events';

export type Link =
  | { phase: 'off' }
  | { phase: 'connecting'; attempt: number }
  | { phase: 'open' }
  | { phase: 'waiting'; attempt: number; retryAt: number };

export interface Handlers {
  onEvent: (event: HubEvent) => void;
  /* Called before each new try: a session that has ended must lead to the login page, not to endless tries. */
  mayRetry: () => Promise<boolean>;
}

/* gap counts how often the page has to read again; what shows a resource depends on it. */
export const useLive = create<{ link: Link; gap: number }>(() => ({ link: { phase: 'off' }, gap: 0 }));
const setLink = (link: Link) => useLive.setState({ link });
const countGap = () => useLive.setState((s) => ({ gap: s.gap + 1 }));

/* Lost for longer than a blink: the first new try has failed too. */
export const useOffline = () => useLive(({ link }) => (link.phase === 'waiting' || link.phase === 'connecting') && link.attempt > 1);

const WAITS = [1, 2, 4, 8, 15, 30];
export const waitSeconds = (attempt: number) => WAITS[Math.min(attempt, WAITS.length) - 1] ?? 1;

let source: EventSource | null = null;
let timer: ReturnType<typeof setTimeout> | undefined;
let handlers: Handlers | null = null;
let opened = false; // once: a later opening follows a loss

export function startLive(h: Handlers) {
  stopLive();
  handlers = h;
  opened = false;
  open(1);
}

export function stopLive() {
  source?.close();
  source = null;
  clearTimeout(timer);
  handlers = null;
  setLink({ phase: 'off' });
}

/* "Retry now" in the banner. */
export function retryLive() {
  const { link } = useLive.getState();
  if (link.phase === 'waiting') void again(link.attempt);
}

function open(attempt: number) {
  setLink({ phase: 'connecting', attempt });
  const es = new EventSource('/v1/events');
  source = es;
  es.onopen = () => {
    if (opened || attempt > 1) countGap(); // what was asked for meanwhile may have failed
    opened = true;
    setLink({ phase: 'open' });
  };
  es.onerror = () => {
    if (source !== es) return;
    es.close();
    source = null;
    const { link } = useLive.getState();
    wait(link.phase === 'open' ? 1 : attempt + 1);
  };
  es.addEventListener('stream.reset', countGap);
  for (const type of EVENT_TYPES) {
    es.addEventListener(type, (message: MessageEvent<string>) => {
      const event = parseEvent(message.data);
      if (event) handlers?.onEvent(event);
    });
  }
}

function wait(attempt: number) {
  const ms = waitSeconds(attempt) * 1000;
  setLink({ phase: 'waiting', attempt, retryAt: Date.now() + ms });
  timer = setTimeout(() => void again(attempt), ms);
}

async function again(attempt: number) {
  clearTimeout(timer);
  const h = handlers;
  if (!h) return;
  setLink({ phase: 'connecting', attempt });
  const go = await h.mayRetry().catch(() => true);
  if (handlers !== h) return;
  if (go) open(attempt);
  else stopLive();
}
