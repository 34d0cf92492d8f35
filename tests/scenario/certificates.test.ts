// Certificates as the hub reads them from a real Caddy, whose own authority signs them.
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Hub } from '../support/hub.ts';
import { Caddy } from '../support/parts/caddy.ts';
import { dockerOld } from '../support/parts/docker.ts';
import { Registry } from '../support/parts/registry.ts';
import { ended, useRig } from '../support/rig.ts';
import { waitFor } from '../support/wait.ts';

const skip = dockerOld.skip || Registry.skip || Caddy.skip;
const domain = 'shop.example.org';

describe('certificates', { skip }, () => {
  const rig = useRig(dockerOld);
  let caddy: Caddy;
  let hub: Hub;

  before(async () => {
    caddy = await Caddy.start({ tls: true });
    const authority = join(caddy.dir, 'data/caddy/pki/authorities/local/root.crt');
    hub = await Hub.start({ dockerHost: rig.engine.host, env: { ...caddy.hubEnv, HBCLOUD_CADDY_ISSUER: 'internal', SSL_CERT_FILE: authority } });
    const networking = { internalPort: 8080, domains: [domain] };
    const body = { name: 'shop', container: { image: await rig.demo('1') }, networking };
    const end = await ended(hub, (await hub.ok('POST', '/services', { body })).deployment_id);
    assert.equal(end.status.state, 'completed', end.status.logs.join('\n'));
  });
  after(async () => {
    await hub?.stop();
    await caddy?.stop();
  });

  const certificate = async () => hub.ok('GET', '/certificates/{domain}', { params: { domain } });
  const well = (serialBefore?: string) =>
    waitFor(async () => ((x) => x.certificate.status === 'ok' && x.certificate.serial !== serialBefore && x)(await certificate()), { timeout: 40_000, what: 'a certificate that is well' });

  test('the certificate of a new route is read and trusted', async () => {
    await waitFor(async () => (await hub.ok('GET', '/certificates')).certificates.length === 1, { timeout: 20_000, what: 'the first look' });
    const { certificate: seen, history } = await well();
    // Caddy shows a certificate of the name alone until the wildcard's is there, so the two looks may see either.
    const shown = (await caddy.secure(domain)).certificate;
    if (BigInt(`0x${seen.serial}`) === BigInt(`0x${shown.serialNumber}`)) assert.equal(Date.parse(seen.notAfter!), Date.parse(shown.valid_to));
    assert.match(shown.subjectaltname!, /^DNS:(shop|\*)\.example\.org$/);
    assert.ok(['*.example.org', domain].includes(seen.names[0]!) && seen.names.length === 1, String(seen.names));
    assert.deepEqual([seen.service, seen.lastRenewal], ['shop', null]);
    assert.match(seen.issuer!, /Caddy Local Authority/);
    assert.deepEqual(history.map((x) => x.serial), [seen.serial]);
  });

  test('a renewal is seen, and the one before is kept', async () => {
    const before = (await well()).certificate;
    await caddy.halt();
    rmSync(join(caddy.dir, 'data/caddy/certificates'), { recursive: true });
    await caddy.resume();
    const { certificate: seen, history } = await well(before.serial!);
    assert.ok(seen.lastRenewal, 'when it was renewed');
    assert.deepEqual(history.map((x) => x.serial), [seen.serial, before.serial]);
  });

  test('what is not looked at is not there', async () => {
    const reply = await hub.api('GET', '/certificates/{domain}', { params: { domain: 'other.example.org' } });
    assert.equal(reply.status, 404);
  });
});
