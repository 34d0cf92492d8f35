// A real ACME server that believes every challenge; its own TLS certificate is signed by an authority made here.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Process } from '../process.ts';
import { freePort, waitFor } from '../wait.ts';
import { part } from './part.ts';

const installed = part('pebble');

function openssl(dir: string, ...args: string[]): void {
  const run = spawnSync('openssl', args, { cwd: dir, encoding: 'utf8' });
  if (run.status !== 0) throw new Error(`openssl ${args.join(' ')}: ${run.stderr}`);
}

/** ca.pem signs server.pem, which is for 127.0.0.1. */
function makeCertificates(dir: string): void {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl(dir, 'req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=test authority');
  openssl(dir, 'req', ...key, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=127.0.0.1');
  writeFileSync(join(dir, 'extensions'), 'subjectAltName=IP:127.0.0.1\n');
  openssl(dir, 'x509', '-req', '-in', 'server.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'extensions', '-out', 'server.pem');
}

export class Pebble {
  static readonly skip = installed.skip;
  readonly dir: string;
  /** Its ACME directory, and the authority of its own TLS certificate. */
  readonly directory: string;
  readonly caFile: string;
  #process: Process;

  private constructor(dir: string, port: number, started: Process) {
    this.dir = dir;
    this.directory = `https://127.0.0.1:${port}/dir`;
    this.caFile = join(dir, 'ca.pem');
    this.#process = started;
  }

  static async start(t: TestContext): Promise<Pebble> {
    const dir = mkdtempSync(join(tmpdir(), 'hbcloud-pebble-'));
    makeCertificates(dir);
    const [port, management] = [await freePort(), await freePort()];
    const listener = { listenAddress: `127.0.0.1:${port}`, managementListenAddress: `127.0.0.1:${management}` };
    const pebble = { ...listener, certificate: join(dir, 'server.pem'), privateKey: join(dir, 'server.key'), httpPort: 1, tlsPort: 1, ocspResponderURL: '' };
    writeFileSync(join(dir, 'pebble.json'), JSON.stringify({ pebble }));
    const env = { PATH: process.env.PATH, PEBBLE_VA_ALWAYS_VALID: '1', PEBBLE_VA_NOSLEEP: '1', PEBBLE_WFE_NONCEREJECT: '0' };
    const started = new Pebble(dir, port, Process.start(join(installed.dir, 'usr/bin/pebble'), ['-config', join(dir, 'pebble.json')], { env }));
    t.after(() => started.stop());
    await waitFor(() => started.#answers(), { what: 'readiness of Pebble' });
    return started;
  }

  #answers(): Promise<boolean> {
    if (this.#process.ended !== undefined) throw new Error(this.#process.output);
    return new Promise((resolve, reject) => {
      request(this.directory, { ca: readFileSync(this.caFile) }, (reply) => resolve(reply.resume().statusCode === 200))
        .on('error', reject)
        .end();
    });
  }

  async stop(): Promise<void> {
    if (this.#process.ended === undefined) await this.#process.stop({ signal: 'SIGKILL' });
    rmSync(this.dir, { recursive: true, force: true });
  }
}
