import { Check, Copy } from 'lucide-react';
import { useEffect, useState } from 'react';
import { report, type HubError } from '@/api/errors';
import { Button } from './ui/button';

/* navigator.clipboard exists only on https and localhost; elsewhere the old way still works. */
async function copyText(text: string) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement('textarea');
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand('copy');
  area.remove();
}

export function CopyButton({ text, label = 'Copy', quiet }: { text: string; label?: string; quiet?: boolean }) {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), 2000);
    return () => clearTimeout(timer);
  }, [copied]);
  const copy = () => copyText(text).then(() => setCopied(true), () => setCopied(false));
  const Icon = copied ? Check : Copy;
  return (
    <Button variant={quiet ? 'ghost' : 'secondary'} size={quiet ? 'icon' : 'sm'} aria-label={quiet ? label : undefined} onClick={() => void copy()}>
      <Icon aria-hidden />{!quiet && (copied ? 'Copied' : label)}
      <span role="status" className="sr-only">{copied ? 'Copied' : ''}</span>
    </Button>
  );
}

export const CopyDetails = ({ error }: { error: HubError }) => <CopyButton text={report(error)} label="Copy details" />;
