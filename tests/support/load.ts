// A load of every kind that a switch could break, in a process of its own so that the test's own work does not slow it.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { LoadOptions, LoadReport } from './load-worker.ts';

export type { LoadOptions, LoadReport } from './load-worker.ts';

/** At least 500 requests a second, with streams, uploads and slow answers among them. */
export const everyKind = {
  keepAliveGet: 350, keepAlivePost: 80, newGet: 80, trickle: 5, upload: 4, eventStreams: 10, sockets: 10, streamSeconds: 20,
} satisfies Partial<LoadOptions>;

export class Load {
  #child: ChildProcess;
  #lines: AsyncIterator<string>;
  #started = Date.now();

  private constructor(options: LoadOptions) {
    const worker = fileURLToPath(new URL('load-worker.ts', import.meta.url));
    this.#child = spawn(process.execPath, [worker, JSON.stringify(options)], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  static async start(options: LoadOptions): Promise<Load> {
    const load = new Load(options);
    const first = await load.#lines.next();
    if (first.value !== 'ready') throw new Error('the load generator did not start');
    return load;
  }

  /** Ends the load; requests under way are waited for. */
  async stop(): Promise<{ report: LoadReport; seconds: number; sent: number; failed: number; failures: string[] }> {
    const seconds = (Date.now() - this.#started) / 1000;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    const line = await this.#lines.next();
    await ended;
    const report = JSON.parse(String(line.value)) as LoadReport;
    const counts = Object.entries(report);
    return {
      report,
      seconds,
      sent: counts.reduce((sum, [, c]) => sum + c.sent, 0),
      failed: counts.reduce((sum, [, c]) => sum + c.failed, 0),
      failures: counts.flatMap(([kind, c]) => c.failures.map((f) => `${kind}: ${f}`)),
    };
  }

  /** Whatever state it is in. */
  discard(): void {
    if (this.#child.exitCode === null) this.#child.kill('SIGKILL');
  }
}
