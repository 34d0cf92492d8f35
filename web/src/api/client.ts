/* The one way to the hub: typed by the contract, same origin, cookie session, CSRF header on writes, one error type. */
import createClient, { type Middleware } from 'openapi-fetch';
import { csrfToken, signedOut, useSession } from '@/state/session';
import { HubError, isApiError } from './errors';
import type { paths } from './schema.gen';

const UNSAFE = new Set(['POST', 'PATCH', 'PUT', 'DELETE']);

const session: Middleware = {
  onRequest({ request }) {
    const token = csrfToken();
    if (token && UNSAFE.has(request.method)) request.headers.set('X-CSRF-Token', token);
    return request;
  },
  onResponse({ response, schemaPath }) {
    const was = useSession.getState().state.phase;
    if (response.status === 401 && was === 'in' && schemaPath !== '/sessions') signedOut('Your session has ended. Sign in again.');
  },
};

const RETRY_MS = [250, 1000];
const pause = (ms: number) => new Promise((done) => setTimeout(done, ms));

/*
 * A browser drops what is under way whenever a network interface comes or goes, and each container that starts brings one.
 * What is safe to repeat is repeated; an answer, of whatever status, never is.
 */
async function patientFetch(request: Request): Promise<Response> {
  const safe = request.method === 'GET' || request.headers.has('Idempotency-Key');
  for (const ms of safe ? RETRY_MS : []) {
    try {
      return await fetch(request.clone());
    } catch (thrown) {
      if (request.signal.aborted) throw thrown;
      await pause(ms);
    }
  }
  return fetch(request);
}

export const client = createClient<paths>({
  baseUrl: `${window.location.origin}/v1`,
  credentials: 'same-origin',
  fetch: patientFetch,
});
client.use(session);

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/* What was answered, or the hub's error thrown. */
export async function take<T>(call: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await call;
  if (!response.ok) throw new HubError(response.status, isApiError(error) ? error : null);
  return data as T;
}

/* Makes a POST safe to repeat. randomUUID exists only on https and localhost. */
export function idempotencyKey(): string {
  const random = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(random, (b) => b.toString(16).padStart(2, '0')).join('');
}
