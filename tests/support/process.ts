// A child process with its output kept, ended by its own pid and by the death of the test that started it.
import { spawn, type ChildProcess } from 'node:child_process';

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export class Process {
  readonly command: string;
  readonly exit: Promise<Exit>;
  #child: ChildProcess;
  #output = { stdout: '', stderr: '' };
  #ended: Exit | undefined;

  private constructor(command: string, args: string[], env: Record<string, string | undefined>, cwd?: string) {
    this.command = command;
    // setpriv replaces itself with the program, so the pid is the program's own.
    this.#child = spawn('setpriv', ['--pdeathsig', 'TERM', '--', command, ...args], {
      cwd,
      env: env as NodeJS.ProcessEnv,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of ['stdout', 'stderr'] as const) {
      this.#child[stream]!.setEncoding('utf8').on('data', (text: string) => (this.#output[stream] += text));
    }
    this.exit = new Promise((resolve, reject) => {
      this.#child.once('error', reject);
      this.#child.once('close', (code, signal) => resolve((this.#ended = { code, signal })));
    });
    this.exit.catch(() => {});
  }

  static start(command: string, args: string[], { env = process.env, cwd }: { env?: Record<string, string | undefined>; cwd?: string } = {}): Process {
    return new Process(command, args, env, cwd);
  }

  get pid(): number {
    return this.#child.pid!;
  }
  get stdout(): string {
    return this.#output.stdout;
  }
  get stderr(): string {
    return this.#output.stderr;
  }
  /** Both streams, for messages. */
  get output(): string {
    return this.#output.stdout + this.#output.stderr;
  }
  get ended(): Exit | undefined {
    return this.#ended;
  }

  kill(signal: NodeJS.Signals): void {
    if (this.#ended === undefined) this.#child.kill(signal);
  }

  /** Sends the signal and waits; a process still there after `timeout` ms is killed and the wait fails. */
  async stop({ signal = 'SIGTERM', timeout = 10_000 }: { signal?: NodeJS.Signals; timeout?: number } = {}): Promise<Exit> {
    this.kill(signal);
    return this.wait(timeout);
  }

  /** Waits for its end; a process still there after `timeout` ms is killed and the wait fails. */
  async wait(timeout = 10_000): Promise<Exit> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => (timer = setTimeout(() => resolve('late'), timeout)));
    const first = await Promise.race([this.exit, late]);
    clearTimeout(timer);
    if (first !== 'late') return first;
    this.kill('SIGKILL');
    await this.exit;
    throw new Error(`${this.command} was still running after ${timeout} ms:\n${this.output.slice(-4000)}`);
  }
}
