/* The page at /docs: the contract for people. The renderer reads /v1/openapi.json from this hub and asks nobody else. */
import 'openapi-explorer/dist/browser/openapi-explorer.min.js';
import './docs.css';

interface TryEvent extends Event {
  detail: { request: { method: string; headers: Headers } };
}

const dark = document.documentElement.dataset.theme === 'dark';
const LOOK: Record<string, string> = {
  'spec-url': '/v1/openapi.json',
  'server-url': `${window.location.origin}/v1`,
  'hide-server-selection': 'true',
  'fetch-credentials': 'same-origin',
  collapse: 'true',
  'default-schema-tab': 'schema',
  'primary-color': dark ? '#9aa5ff' : '#3948bd',
  'secondary-color': dark ? '#5767e8' : '#4456d8',
  'bg-color': dark ? '#151519' : '#ffffff',
  'text-color': dark ? '#ededf1' : '#18181d',
  'header-bg-color': dark ? '#151519' : '#ffffff',
  'nav-bg-color': dark ? '#0e0e11' : '#f7f7f8',
  'nav-text-color': dark ? '#a3a3b0' : '#5c5c69',
};

/* Who is signed in to the dashboard can try operations here: the cookie comes along, writes need the session's token. */
async function csrfToken(): Promise<string | null> {
  const reply = await fetch('/v1/sessions/current', { credentials: 'same-origin' });
  return reply.ok ? ((await reply.json()) as { session: { csrfToken: string } }).session.csrfToken : null;
}

const explorer = document.createElement('openapi-explorer');
for (const [name, value] of Object.entries(LOOK)) explorer.setAttribute(name, value);
const token = csrfToken().catch(() => null);
explorer.addEventListener('request', (event) => {
  const { request } = (event as TryEvent).detail;
  if (request.method.toUpperCase() === 'GET') return;
  void token.then((t) => t && request.headers.set('X-CSRF-Token', t));
});
document.getElementById('docs')?.append(explorer);
