import { WifiOff } from 'lucide-react';
import { useNow } from '@/hooks/useNow';
import { retryLive, useLive, useOffline } from '@/state/live';
import { Button } from '../ui/button';

/* A connection that is back within a second is not worth a banner. */
export function ConnectionBanner() {
  const link = useLive((s) => s.link);
  const now = useNow();
  const lost = useOffline();
  const seconds = link.phase === 'waiting' ? Math.max(0, Math.ceil((link.retryAt - now) / 1000)) : 0;
  return (
    <div role="status">
      {lost && (
        <div className="flex flex-wrap items-center justify-center gap-x-3 gap-y-1 border-b border-line bg-warn-soft px-4 py-1.5 text-warn">
          <WifiOff aria-hidden className="size-4" />
          <span className="font-medium">Not connected to the hub. What you see may be old.</span>
          <span aria-hidden>{link.phase === 'waiting' ? `Trying again in ${seconds} s` : 'Trying…'}</span>
          <Button size="sm" onClick={retryLive} disabled={link.phase !== 'waiting'}>Try now</Button>
        </div>
      )}
    </div>
  );
}
