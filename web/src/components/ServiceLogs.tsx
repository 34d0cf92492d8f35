import { useEffect, useState } from 'react';
import { asHubError, type HubError } from '@/api/errors';
import { hub } from '@/api/hub';
import { clock, join, linesOf, type LogLine } from '@/lib/logs';
import { LogLines } from './LogLines';
import { Button } from './ui/button';
import { Card, CardHeader } from './ui/card';
import { Checkbox, Select } from './ui/field';
import { Segmented } from './ui/segmented';

const FOLLOW_MS = 2000;
const MOST = 5000;
type Stream = 'all' | 'stdout' | 'stderr';

function useLogs(id: string, stream: Stream, tail: number, follow: boolean) {
  const [state, setState] = useState<{ lines: LogLine[]; truncated: boolean; error: HubError | null; loading: boolean }>({ lines: [], truncated: false, error: null, loading: true });
  const [round, setRound] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let lines: LogLine[] | null = null;
    const read = async () => {
      try {
        const since = lines?.findLast((l) => l.time)?.time;
        if (lines === null || document.visibilityState === 'visible') {
          const reply = await hub.logs(id, { stream, tail: since ? MOST : tail, ...(since ? { since } : {}) }, abort.signal);
          lines = lines ? join(lines, linesOf(reply), MOST) : linesOf(reply);
          const shown = lines;
          setState((s) => ({ lines: shown, truncated: s.truncated || reply.truncated, error: null, loading: false }));
        }
        if (follow && !abort.signal.aborted) timer = setTimeout(() => void read(), FOLLOW_MS);
      } catch (thrown) {
        if (abort.signal.aborted) return;
        setState((s) => ({ ...s, error: asHubError(thrown), loading: false }));
      }
    };
    setState({ lines: [], truncated: false, error: null, loading: true });
    void read();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [id, stream, tail, follow, round]);
  return { ...state, reload: () => setRound((r) => r + 1) };
}

export function ServiceLogsCard({ id }: { id: string }) {
  const [stream, setStream] = useState<Stream>('all');
  const [tail, setTail] = useState(200);
  const [follow, setFollow] = useState(true);
  const [times, setTimes] = useState(true);
  const { lines, truncated, error, loading, reload } = useLogs(id, stream, tail, follow);
  return (
    <Card aria-labelledby="t-logs" className="overflow-hidden">
      <CardHeader
        id="t-logs" title="Logs" hint={truncated ? 'older lines left out' : undefined}
        actions={
          <div className="flex flex-wrap items-center gap-x-3 gap-y-1.5 text-xs">
            <label className="flex items-center gap-1.5"><Checkbox checked={times} onChange={(e) => setTimes(e.target.checked)} />Times</label>
            <label className="flex items-center gap-1.5"><Checkbox checked={follow} onChange={(e) => setFollow(e.target.checked)} />Follow</label>
            <Select aria-label="Lines" value={tail} onChange={(e) => setTail(Number(e.target.value))} className="!h-7 !w-auto !text-xs">
              {[200, 1000, 5000].map((n) => <option key={n} value={n}>last {n}</option>)}
            </Select>
            <Segmented label="Stream" value={stream} onChange={setStream} options={[{ value: 'all', label: 'all' }, { value: 'stdout', label: 'stdout' }, { value: 'stderr', label: 'stderr' }]} />
          </div>
        }
      />
      {error && (
        <div role="alert" className="flex items-center gap-3 border-b border-line bg-warn-soft px-4 py-2 text-warn">
          <span className="min-w-0 flex-1">{error.message}</span><Button size="sm" onClick={reload}>Try again</Button>
        </div>
      )}
      <LogLines
        label="Log of the service" follow={follow} empty={loading ? 'Reading…' : 'It has written nothing.'}
        lines={lines.map((l, i) => ({ key: i, text: l.text, alert: l.stream === 'stderr', ...(times && l.time ? { note: clock(l.time) } : {}) }))}
      />
    </Card>
  );
}
