// The real program on a free port with a data folder of its own. In tests it checks every reply of its own against the contract.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Client } from './client.ts';
import { Process, type Exit } from './process.ts';
import { freePort, waitFor } from './wait.ts';

export const binary = process.env.HBCLOUD_BINARY ?? fileURLToPath(new URL('../../build/hbcloud', import.meta.url));
/** The folder of the repository, for tests that read its files. */
export const repository = fileURLToPath(new URL('../..', import.meta.url));

export interface HubOptions {
  /** Kept by the caller where given, else made and removed with the hub. */
  dataDir?: string;
  /** An engine's socket; without it the hub sees no engine, whatever this machine runs. */
  dockerHost?: string;
  env?: Record<string, string>;
  args?: string[];
  /** Milliseconds until it must be ready. */
  timeout?: number;
}

/** Nothing of the developer's own settings reaches the program. */
export function cleanEnv(home: string, extra: Record<string, string> = {}): Record<string, string> {
  const kept = Object.entries(process.env).filter(([name]) => /^(PATH|LANG|TMPDIR|[ATU]\w*SAN_OPTIONS)$/.test(name));
  return {
    ...(Object.fromEntries(kept) as Record<string, string>),
    HOME: home,
    HBCLOUD_VALIDATE_REPLIES: '1',
    ...extra,
  };
}

export class Hub extends Client {
  readonly dataDir: string;
  readonly port: number;
  #options: HubOptions;
  #process: Process;
  #ownsData: boolean;
  /** The output of earlier runs on the same data, before restarts. */
  #earlier = '';

  private constructor(options: HubOptions, port: number) {
    super(`http://127.0.0.1:${port}`);
    this.port = port;
    this.#options = options;
    this.#ownsData = options.dataDir === undefined;
    this.dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'hbcloud-data-'));
    this.#process = this.#spawn();
  }

  /** Starts a hub and waits until it is ready. */
  static async start(options: HubOptions = {}): Promise<Hub> {
    const hub = new Hub(options, await freePort());
    try {
      await hub.#ready();
    } catch (error) {
      await hub.discard();
      throw error;
    }
    return hub;
  }

  #spawn(): Process {
    const { env = {}, args = [], dockerHost = `unix://${this.dataDir}/no-engine.sock` } = this.#options;
    return Process.start(binary, ['serve', '--data', this.dataDir, '--listen', `127.0.0.1:${this.port}`, ...args], {
      env: cleanEnv(this.dataDir, { DOCKER_HOST: dockerHost, ...env }),
      cwd: tmpdir(),
    });
  }

  async #ready(): Promise<void> {
    const started = this.#process;
    const look = async (): Promise<boolean> => {
      if (started.ended !== undefined) return true;
      return (await fetch(`${this.url}/readyz`, { signal: AbortSignal.timeout(2000) })).status === 200;
    };
    await waitFor(look, { timeout: this.#options.timeout ?? 20_000, every: 10, what: 'readiness of the hub' }).catch((error) => {
      throw new Error(`${error.message}\n${started.output.slice(-4000)}`);
    });
    if (started.ended !== undefined) throw new Error(`the hub ended with ${JSON.stringify(started.ended)}:\n${started.output.slice(-4000)}`);
    this.key = this.ownerKey();
  }

  /** The owner's API key, as the first start left it. */
  ownerKey(): string {
    return readFileSync(join(this.dataDir, 'owner.key'), 'utf8').trim();
  }

  get running(): boolean {
    return this.#process.ended === undefined;
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** All that it wrote to the terminal, restarts included. */
  get output(): string {
    return this.#earlier + this.#process.output;
  }

  /** Its log, one object a line; lines that are no JSON (the login link) are left out. */
  get log(): Record<string, unknown>[] {
    return this.output.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as Record<string, unknown>] : []));
  }

  /** Ends it in order: SIGTERM, status 0 within 10 s. The data stays. */
  async stop(): Promise<void> {
    const exit = await this.#process.stop({ timeout: 10_000 });
    assert.deepEqual(exit, { code: 0, signal: null }, `the hub's end after SIGTERM:\n${this.output.slice(-4000)}`);
  }

  /** Ends it as a power cut would. */
  async kill9(): Promise<void> {
    await this.#process.stop({ signal: 'SIGKILL' });
  }

  /** Its end, where the test does not cause it. */
  get exit(): Promise<Exit> {
    return this.#process.exit;
  }

  /** Starts it again on the same data, port and settings (changed where given), and waits until it is ready. */
  async restart(changes: Partial<HubOptions> = {}): Promise<void> {
    if (this.#process.ended === undefined) await this.stop();
    this.#earlier += this.#process.output;
    this.#options = { ...this.#options, ...changes };
    this.#process = this.#spawn();
    await this.#ready();
  }

  /** Whatever state it is in: no process, no data of ours left. */
  async discard(): Promise<void> {
    if (this.#process.ended === undefined) await this.kill9();
    if (this.#ownsData && existsSync(this.dataDir)) rmSync(this.dataDir, { recursive: true, force: true });
  }
}

/** A hub that ends with the test; an end that is not in order fails the test. */
export async function startHub(t: TestContext, options: HubOptions = {}): Promise<Hub> {
  const hub = await Hub.start(options);
  t.after(async () => {
    try {
      if (hub.running) await hub.stop();
    } finally {
      await hub.discard();
    }
  });
  return hub;
}

export interface CliResult extends Exit {
  stdout: string;
  stderr: string;
}

/** Runs one command of the program to its end. With a hub it is pointed there with the owner's key. */
export async function cli(args: string[], { hub, env = {}, timeout = 60_000 }: { hub?: Hub; env?: Record<string, string>; timeout?: number } = {}): Promise<CliResult> {
  const home = mkdtempSync(join(tmpdir(), 'hbcloud-home-'));
  try {
    const target: Record<string, string> = hub ? { HBCLOUD_URL: hub.url, HBCLOUD_API_KEY: hub.key! } : {};
    const run = Process.start(binary, args, { env: cleanEnv(home, { ...target, ...env }), cwd: home });
    const timer = setTimeout(() => run.kill('SIGKILL'), timeout);
    const exit = await run.exit;
    clearTimeout(timer);
    return { ...exit, stdout: run.stdout, stderr: run.stderr };
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}
