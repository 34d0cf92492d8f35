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

export const client = createClient<paths>({
  baseUrl: `${window.location.origin}/v1`,
  credentials: 'same-origin',
  fetch: (request) => fetch(request), // looked up at each call, so that tests can take its place
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
