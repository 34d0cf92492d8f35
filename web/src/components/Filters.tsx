import { Search } from 'lucide-react';
import { Input, Select } from './ui/field';

interface Choice {
  label: string;
  value: string;
  options: string[];
  onChange: (value: string) => void;
}

export function Filters({ text, onText, placeholder, choices }: { text: string; onText: (t: string) => void; placeholder: string; choices: Choice[] }) {
  return (
    <div role="search" className="mb-4 flex flex-wrap gap-2">
      <div className="relative min-w-40 flex-1 sm:max-w-64">
        <Search aria-hidden className="pointer-events-none absolute top-1/2 left-2.5 size-3.5 -translate-y-1/2 text-faint" />
        <Input type="search" aria-label={placeholder} placeholder={placeholder} value={text} onChange={(e) => onText(e.target.value)} className="pl-8" />
      </div>
      {choices.map((c) => (
        <Select key={c.label} aria-label={c.label} value={c.value} onChange={(e) => c.onChange(e.target.value)} className="!w-auto">
          <option value="">{c.label}: all</option>
          {c.options.map((o) => <option key={o} value={o}>{o}</option>)}
        </Select>
      ))}
    </div>
  );
}

export function LoadMore({ next, loaded, total, busy, onMore }: { next: string | null; loaded: number; total: number | null; busy: boolean; onMore: () => void }) {
  if (!next) return null;
  return (
    <p className="mt-4 flex items-center justify-center gap-3 text-muted">
      The first {loaded}{total ? ` of ${total}` : ''} are loaded; filters look at these.
      <button type="button" className="link font-medium" onClick={onMore} disabled={busy}>{busy ? 'Loading…' : 'Load more'}</button>
    </p>
  );
}
