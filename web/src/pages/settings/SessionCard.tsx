import { LogOut } from 'lucide-react';
import { useCallback } from 'react';
import { hub } from '@/api/hub';
import { Ago } from '@/components/Ago';
import { Facts } from '@/components/Facts';
import { Button } from '@/components/ui/button';
import { Card, CardHeader } from '@/components/ui/card';
import { Segmented } from '@/components/ui/segmented';
import { useAction } from '@/hooks/useAction';
import { signedOut, useSession } from '@/state/session';
import { chooseTheme, useTheme } from '@/state/theme';

export function SessionCard() {
  const { state } = useSession();
  const choice = useTheme((s) => s.choice);
  const leave = useCallback(async () => {
    await hub.signOut();
    signedOut('You are signed out.');
    return undefined;
  }, []);
  const { start, busy } = useAction(leave);
  if (state.phase !== 'in') return null;
  const { session } = state;
  return (
    <Card aria-labelledby="t-session" className="max-w-xl">
      <CardHeader id="t-session" title="This session" actions={<Button size="sm" busy={busy} onClick={() => void start()}><LogOut aria-hidden />Sign out</Button>} />
      <Facts facts={[
        ['Opened with', session.name],
        ['Role', session.role],
        ['Ends', <Ago key="e" at={session.expiresAt} />],
        ['Theme', <Segmented key="t" label="Theme" value={choice} onChange={chooseTheme} options={[{ value: 'system', label: 'as the system' }, { value: 'light', label: 'light' }, { value: 'dark', label: 'dark' }]} />],
      ]} />
    </Card>
  );
}
