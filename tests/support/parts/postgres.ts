// A real PostgreSQL server on a socket in a folder of its own.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Process } from '../process.ts';
import { waitFor } from '../wait.ts';
import { part } from './part.ts';

const installed = part('postgres');

/** PostgreSQL refuses root; in a user namespace of its own it is someone else, and still reads its files. */
const asOther = process.getuid?.() === 0 ? ['unshare', '--map-user=1000', '--map-group=1000', '--'] : [];

export class Postgres {
  static readonly skip = installed.skip;
  /** The folder of its socket, which is the host for clients. */
  readonly host: string;
  readonly user = 'hbcloud';
  readonly database = 'postgres';
  #process: Process;

  private constructor(host: string, started: Process) {
    this.host = host;
    this.#process = started;
  }

  static async start(settings: Record<string, string> = {}): Promise<Postgres> {
    const dir = mkdtempSync(join(tmpdir(), 'hbcloud-postgres-'));
    const program = (name: string): string => join(installed.dir, 'bin', name);
    const [first, ...rest] = [...asOther, program('initdb'), '-D', join(dir, 'data'), '-U', 'hbcloud', '-A', 'trust', '-E', 'UTF8', '--no-locale', '-N'];
    const made = spawnSync(first!, rest, { encoding: 'utf8' });
    if (made.status !== 0) throw new Error(`initdb: ${made.stderr || String(made.error)}`);
    const options = Object.entries({ listen_addresses: '', unix_socket_directories: dir, jit: 'off', ...settings }).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    const [command, ...args] = [...asOther, 'setpriv', '--pdeathsig', 'INT', '--', program('postgres'), '-D', join(dir, 'data'), ...options];
    const started = Process.start(command!, args);
    const postgres = new Postgres(dir, started);
    await waitFor(
      () => {
        if (started.ended !== undefined) throw new Error(started.output);
        return started.stderr.includes('ready to accept connections');
      },
      { what: 'readiness of PostgreSQL' },
    );
    return postgres;
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** SIGINT: it ends its sessions and stops. */
  async stop(): Promise<void> {
    if (this.#process.ended === undefined) await this.#process.stop({ signal: 'SIGINT' });
    rmSync(this.host, { recursive: true, force: true });
  }
}
