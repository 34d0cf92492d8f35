import { ago, dateTime } from '@/lib/format';
import { useNow } from '@/hooks/useNow';

export function Ago({ at }: { at: string | null | undefined }) {
  const now = useNow();
  if (!at || Number.isNaN(Date.parse(at))) return <span>never</span>;
  return <time dateTime={at} title={dateTime(at)}>{ago(at, now)}</time>;
}
