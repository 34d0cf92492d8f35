// A real SSH server on loopback with keys of its own, for engines that are reached by SSH.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Process } from '../process.ts';
import { freePort, waitFor } from '../wait.ts';
import { part } from './part.ts';

const installed = part('sshd', { privileged: true });
const script = fileURLToPath(new URL('sshd/run.sh', import.meta.url));

export interface SshdOptions {
  /** Whether it passes unix sockets on; without it the host's own docker program is asked. */
  sockets?: boolean;
  /** The environment of programs that it starts. */
  env?: Record<string, string>;
}

function keygen(file: string): void {
  const run = spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'test', '-f', file], { encoding: 'utf8' });
  if (run.status !== 0) throw new Error(`ssh-keygen: ${run.stderr ?? run.error}`);
}

export class Sshd {
  static readonly skip = installed.skip;
  readonly dir: string;
  readonly port: number;
  #process: Process;

  private constructor(dir: string, port: number, started: Process) {
    this.dir = dir;
    this.port = port;
    this.#process = started;
  }

  /** Starts a server that lets this process's own user in by one key and ends with the test. */
  static async start(t?: TestContext, { sockets = true, env = {} }: SshdOptions = {}): Promise<Sshd> {
    const dir = mkdtempSync(join(tmpdir(), 'hbcloud-sshd-'));
    const port = await freePort();
    for (const name of ['host_key', 'user_key', 'other_key']) keygen(join(dir, name));
    const set = Object.entries(env).map(([name, value]) => `"${name}=${value}"`).join(' ');
    writeFileSync(
      join(dir, 'sshd_config'),
      `ListenAddress 127.0.0.1:${port}
HostKey ${dir}/host_key
AuthorizedKeysFile ${dir}/user_key.pub
PidFile ${dir}/sshd.pid
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
AllowStreamLocalForwarding ${sockets ? 'yes' : 'no'}
X11Forwarding no
MaxSessions 100
${set && `SetEnv ${set}`}
`,
    );
    const hostKey = readFileSync(join(dir, 'host_key.pub'), 'utf8').split(' ').slice(0, 2).join(' ');
    writeFileSync(join(dir, 'known_hosts'), `[127.0.0.1]:${port} ${hostKey}\n`);
    const sshd = new Sshd(dir, port, await Sshd.#run(dir, port));
    t?.after(() => sshd.stop());
    return sshd;
  }

  static async #run(dir: string, port: number): Promise<Process> {
    const program = join(installed.dir, 'usr/sbin/sshd');
    const libraries = join(installed.dir, 'usr/lib/x86_64-linux-gnu');
    const env = { ...process.env, LD_LIBRARY_PATH: `${libraries}:${libraries.replace('x86_64', 'aarch64')}` };
    const started = Process.start('unshare', ['--mount', '--propagation', 'unchanged', script, dir, program], { env });
    await waitFor(() => greets(port), { what: `readiness of sshd: ${started.output}` });
    return started;
  }

  /** For DOCKER_HOST, by the socket of an engine. */
  url(socket: string): string {
    return `ssh://${userInfo().username}@127.0.0.1:${this.port}${socket}`;
  }

  get userKey(): string {
    return join(this.dir, 'user_key');
  }
  /** A key that it does not let in. */
  get otherKey(): string {
    return join(this.dir, 'other_key');
  }
  get knownHosts(): string {
    return join(this.dir, 'known_hosts');
  }
  /** "SHA256:…" of its host key. */
  get fingerprint(): string {
    const run = spawnSync('ssh-keygen', ['-lf', join(this.dir, 'host_key.pub')], { encoding: 'utf8' });
    return run.stdout.split(' ')[1]!;
  }
  /** Of the server that listens; its children hold the sessions. */
  get pid(): number {
    return Number(readFileSync(join(this.dir, 'sshd.pid'), 'utf8'));
  }
  get log(): string {
    return this.#process.output;
  }

  async stop(): Promise<void> {
    if (this.#process.ended === undefined) await this.#process.stop();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

function greets(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('data', (bytes: Buffer) => resolve(bytes.toString().startsWith('SSH-2.0-')));
    socket.once('error', () => resolve(false));
    socket.once('close', () => resolve(false));
    socket.setTimeout(2000, () => socket.destroy());
  });
}
