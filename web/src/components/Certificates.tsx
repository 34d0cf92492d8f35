/* What a TLS handshake with each domain showed last. */
import { hub } from '@/api/hub';
import type { Certificate } from '@/api/types';
import { useResource } from '@/hooks/useResource';
import { dateTime, NOTHING, plural, words } from '@/lib/format';
import { Failed } from './States';
import { Status } from './Status';
import { Card, CardHeader } from './ui/card';
import { SkeletonRows } from './ui/skeleton';
import { Table, Td, Th, Tr } from './ui/table';

const LOOKS: Record<string, string> = { ok: 'healthy', expiring: 'warning', pending: 'unknown' };

function Row({ certificate: c }: { certificate: Certificate }) {
  return (
    <Tr>
      <Td><span className="font-medium break-all">{c.domain}</span>{c.reason && <p className="text-xs text-muted">{c.reason}</p>}</Td>
      <Td><Status state={LOOKS[c.status] ?? 'failed'} label={words(c.status)} /></Td>
      <Td className="text-right whitespace-nowrap" title={dateTime(c.notAfter)}>{c.daysLeft == null ? NOTHING : plural(c.daysLeft, 'day')}</Td>
      <Td className="text-xs text-muted max-md:hidden">{c.issuer ?? NOTHING}</Td>
      <Td className="text-xs text-muted max-md:hidden">{c.lastRenewal ? dateTime(c.lastRenewal) : NOTHING}</Td>
    </Tr>
  );
}

export function Certificates() {
  const { data, error, reload } = useResource('certificates', (signal) => hub.certificates(signal));
  if (data?.length === 0) return null;
  return (
    <Card aria-labelledby="t-certificates" className="mt-4">
      <CardHeader id="t-certificates" title="Certificates" hint="as a handshake showed them" />
      {!data ? (error ? <Failed error={error} retry={reload} what="The certificates" /> : <SkeletonRows rows={2} />) : (
        <Table>
          <thead><tr><Th>Domain</Th><Th>State</Th><Th className="text-right">Left</Th><Th className="max-md:hidden">Issuer</Th><Th className="max-md:hidden">Renewed</Th></tr></thead>
          <tbody>{data.map((c) => <Row key={c.domain} certificate={c} />)}</tbody>
        </Table>
      )}
    </Card>
  );
}
