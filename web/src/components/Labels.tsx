import { Plus, X } from 'lucide-react';
import { useState, type FormEvent } from 'react';
import { Button } from './ui/button';
import { Input } from './ui/field';

interface Props {
  labels: Record<string, string>;
  editable: boolean;
  busy: boolean;
  onChange: (patch: Record<string, string | null>) => Promise<boolean>;
}

const KEY = /^[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?$/;

export function Labels({ labels, editable, busy, onChange }: Props) {
  const [text, setText] = useState('');
  const [problem, setProblem] = useState('');
  const add = async (e: FormEvent) => {
    e.preventDefault();
    const at = text.indexOf('=');
    const key = text.slice(0, at).trim();
    if (at < 1 || !KEY.test(key)) return setProblem('Write a label as key=value.');
    setProblem('');
    if (await onChange({ [key]: text.slice(at + 1).trim() })) setText('');
  };
  const entries = Object.entries(labels);
  return (
    <div className="px-4 py-3">
      <ul className="flex flex-wrap gap-1.5">
        {entries.map(([key, value]) => (
          <li key={key} className="inline-flex items-center gap-1 rounded-md border border-line bg-hover px-1.5 py-0.5 font-mono text-xs">
            {key}={value}
            {editable && (
              <button type="button" aria-label={`Remove label ${key}`} disabled={busy} onClick={() => void onChange({ [key]: null })} className="rounded p-0.5 text-muted hover:text-bad">
                <X aria-hidden className="size-3" />
              </button>
            )}
          </li>
        ))}
        {entries.length === 0 && <li className="text-muted">No labels yet.</li>}
      </ul>
      {editable && (
        <form onSubmit={(e) => void add(e)} className="mt-3 flex gap-2">
          <Input aria-label="New label, key=value" aria-invalid={problem ? true : undefined} placeholder="room=attic" value={text} onChange={(e) => setText(e.target.value)} className="font-mono" />
          <Button type="submit" size="md" busy={busy}><Plus aria-hidden />Add</Button>
        </form>
      )}
      {problem && <p role="alert" className="mt-1 text-xs text-bad">{problem}</p>}
    </div>
  );
}
