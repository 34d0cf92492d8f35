import { signedIn, signedOut, useSession } from '@/state/session';
import { asHubError } from './errors';
import { hub } from './hub';

/* True when there is a session, false when there is none; throws when the hub cannot say. */
export async function checkSession(): Promise<boolean> {
  try {
    signedIn(await hub.session());
    return true;
  } catch (thrown) {
    const { status } = asHubError(thrown);
    if (status !== 401 && status !== 404) throw thrown;
    const was = useSession.getState().state.phase;
    signedOut(was === 'in' ? 'Your session has ended. Sign in again.' : undefined);
    return false;
  }
}
