// A certificate authority of a test's own, and certificates that it signs.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

function openssl(...args: string[]): void {
  const run = spawnSync('openssl', args, { encoding: 'utf8' });
  if (run.status !== 0) throw new Error(`openssl ${args.join(' ')}: ${run.stderr ?? run.error}`);
}

export class Authority {
  readonly dir: string;

  constructor(t?: TestContext) {
    this.dir = mkdtempSync(join(tmpdir(), 'hbcloud-ca-'));
    t?.after(() => rmSync(this.dir, { recursive: true, force: true }));
    openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=Test authority',
      '-keyout', join(this.dir, 'ca-key.pem'), '-out', this.certificate);
  }

  get certificate(): string {
    return join(this.dir, 'ca.pem');
  }

  /** A folder with ca.pem, cert.pem and key.pem, as engines and their clients want it. */
  issue(name: string, alternatives = 'IP:127.0.0.1,DNS:localhost'): string {
    const dir = join(this.dir, name);
    mkdirSync(dir);
    const [key, request, settings] = [join(dir, 'key.pem'), join(dir, 'request.pem'), join(dir, 'settings')];
    writeFileSync(settings, `subjectAltName=${alternatives}\nextendedKeyUsage=serverAuth,clientAuth\n`);
    openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', `/CN=${name}`, '-keyout', key, '-out', request);
    openssl('x509', '-req', '-in', request, '-CA', this.certificate, '-CAkey', join(this.dir, 'ca-key.pem'), '-CAcreateserial', '-days', '2',
      '-extfile', settings, '-out', join(dir, 'cert.pem'));
    openssl('x509', '-in', this.certificate, '-out', join(dir, 'ca.pem'));
    return dir;
  }
}
