import { KeyRound } from 'lucide-react';
import { useEffect, useRef, useState, type FormEvent } from 'react';
import { Navigate, useLocation } from 'react-router';
import { checkSession } from '@/api/checkSession';
import { asHubError, fieldErrors, type HubError } from '@/api/errors';
import { hub } from '@/api/hub';
import type { Credentials } from '@/api/types';
import { Logo } from '@/components/Logo';
import { Button } from '@/components/ui/button';
import { Field, Input } from '@/components/ui/field';
import { signedIn, useSession } from '@/state/session';

/* The login link carries its token behind the #, which no server or log ever sees. Read once, then gone from the address bar. */
export function tokenFromFragment(hash: string): string | null {
  return new URLSearchParams(hash.replace(/^#/, '')).get('token');
}

/* Only a path of this dashboard: never another site. */
function destination(state: unknown): string {
  const from = typeof state === 'object' && state !== null && 'from' in state ? state.from : null;
  return typeof from === 'string' && from.startsWith('/') && !from.startsWith('//') ? from : '/dashboard';
}

function explain(error: HubError, byLink: boolean): string {
  if (error.status !== 401) return error.message;
  return byLink
    ? 'This login link was used already or is too old. Sign in with an API key.'
    : 'This API key is not known, has expired or was revoked.';
}

export default function Login() {
  const session = useSession((s) => s.state);
  const location = useLocation();
  const [apiKey, setApiKey] = useState('');
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<{ error: HubError; byLink: boolean } | null>(null);
  const started = useRef(false);
  const goal = destination(location.state);

  const signIn = async (credentials: Credentials) => {
    setBusy(true);
    setFailure(null);
    try {
      signedIn(await hub.signIn(credentials));
    } catch (thrown) {
      setFailure({ error: asHubError(thrown), byLink: 'loginToken' in credentials });
      setBusy(false);
    }
  };

  useEffect(() => {
    document.title = 'Sign in · hbcloud';
    if (started.current) return;
    started.current = true; // a login token works once
    const loginToken = tokenFromFragment(window.location.hash);
    if (loginToken) {
      window.history.replaceState(window.history.state, '', '/login');
      void signIn({ loginToken });
    } else if (useSession.getState().state.phase === 'unknown') {
      checkSession().catch(() => undefined); // signed in already? If the hub cannot say, the form will
    }
  });

  if (session.phase === 'in') return <Navigate to={goal} replace />;
  const submit = (e: FormEvent) => {
    e.preventDefault();
    if (apiKey.trim()) void signIn({ apiKey: apiKey.trim() });
  };
  const reason = session.phase === 'out' ? session.reason : undefined;
  const fieldError = failure && (fieldErrors(failure.error)['/apiKey'] ?? explain(failure.error, failure.byLink));
  return (
    <main className="grid min-h-dvh place-items-center p-4">
      <div className="w-full max-w-sm">
        <div className="mb-6 flex items-center justify-center gap-2.5"><Logo /><span className="text-lg font-semibold tracking-tight">hbcloud</span></div>
        <form onSubmit={submit} className="card p-6">
          <h1 className="text-lg font-semibold">Sign in</h1>
          <p className="mt-1 mb-5 text-muted">With an API key, or by the login link that the hub printed at its first start.</p>
          {reason && !failure && <p role="status" className="mb-4 rounded-md bg-warn-soft px-3 py-2 text-warn">{reason}</p>}
          <Field
            label="API key"
            hint={<>The owner’s key is in the file <code className="font-mono">owner.key</code> in the hub’s data directory.</>}
            error={fieldError ?? undefined}
          >
            {(p) => (
              <Input {...p} type="password" autoComplete="current-password" autoFocus value={apiKey} disabled={busy}
                onChange={(e) => setApiKey(e.target.value)} className="font-mono" />
            )}
          </Field>
          {failure?.error.requestId && <p className="mt-1 font-mono text-2xs break-all text-faint">request {failure.error.requestId}</p>}
          <Button type="submit" variant="primary" className="mt-5 w-full" busy={busy} disabled={!apiKey.trim()}>
            <KeyRound aria-hidden />{busy ? 'Signing in…' : 'Sign in'}
          </Button>
        </form>
        <p className="mt-4 text-center text-xs text-muted">A session lasts 24 hours and is kept in a cookie that scripts cannot read.</p>
      </div>
    </main>
  );
}
