/* Who is signed in. The CSRF token lives here, in memory, and nowhere else; the session itself is an httpOnly cookie. */
import { create } from 'zustand';
import type { Session } from '@/api/types';

export type SessionState =
  | { phase: 'unknown' }
  | { phase: 'out'; reason?: string }
  | { phase: 'in'; session: Session };

export const useSession = create<{ state: SessionState }>(() => ({ state: { phase: 'unknown' } }));

export function signedIn(session: Session) {
  useSession.setState({ state: { phase: 'in', session } });
}

export function signedOut(reason?: string) {
  useSession.setState({ state: reason ? { phase: 'out', reason } : { phase: 'out' } });
}

export function csrfToken(): string | null {
  const { state } = useSession.getState();
  return state.phase === 'in' ? state.session.csrfToken : null;
}

const RANK = { viewer: 0, operator: 1, admin: 2 } as const;

/* The hub decides; this only spares people buttons that would answer 403. */
export function useMay(role: keyof typeof RANK): boolean {
  return useSession(({ state }) => state.phase === 'in' && RANK[state.session.role] >= RANK[role]);
}
