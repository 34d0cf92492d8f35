import { useState, type ReactNode } from 'react';
import { Button } from './ui/button';
import { Dialog } from './ui/dialog';
import { Field, Input } from './ui/field';

interface Props {
  open: boolean;
  onClose: () => void;
  title: string;
  name: string; // what has to be typed
  action: string;
  busy: boolean;
  onConfirm: () => void;
  children: ReactNode;
}

/* For what cannot be undone: the name has to be typed, so that a slip of the hand removes nothing. */
export function ConfirmByName({ open, onClose, title, ...rest }: Props) {
  return <Dialog open={open} onClose={onClose} title={title}><Body onClose={onClose} {...rest} /></Dialog>;
}

function Body({ name, action, busy, onClose, onConfirm, children }: Omit<Props, 'open' | 'title'>) {
  const [typed, setTyped] = useState('');
  const right = typed.trim() === name;
  return (
    <form onSubmit={(e) => { e.preventDefault(); if (right) onConfirm(); }}>
      <div className="space-y-3 text-muted">{children}</div>
      <Field label={`Type ${name} to confirm`} className="mt-4">
        {(p) => <Input {...p} autoFocus value={typed} onChange={(e) => setTyped(e.target.value)} />}
      </Field>
      <div className="mt-5 flex justify-end gap-2">
        <Button onClick={onClose}>Cancel</Button>
        <Button variant="danger" type="submit" disabled={!right} busy={busy}>{action}</Button>
      </div>
    </form>
  );
}
