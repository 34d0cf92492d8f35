// The real Consul: one agent that is its own server, with nothing on disk, so that a restart has forgotten everything.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { Process } from '../process.ts';
import { freePort, waitFor } from '../wait.ts';
import { part } from './part.ts';

const installed = part('consul', { slow: true });

export interface Instance {
  ID: string;
  Service: string;
  Address: string;
  Port: number;
  Tags: string[];
  Meta: Record<string, string>;
}

export class Consul {
  static readonly skip = installed.skip;
  readonly address: string;
  readonly dir = mkdtempSync(join(tmpdir(), 'hbcloud-consul-'));
  #ports: [number, number, number, number];
  #process: Process;

  private constructor(ports: [number, number, number, number]) {
    this.#ports = ports;
    this.address = `127.0.0.1:${ports[0]}`;
    this.#process = this.#spawn();
  }

  static async start(): Promise<Consul> {
    const consul = new Consul([await freePort(), await freePort(), await freePort(), await freePort()]);
    try {
      await consul.ready();
    } catch (error) {
      await consul.stop();
      throw error;
    }
    return consul;
  }

  #spawn(): Process {
    const [http, server, lan, wan] = this.#ports;
    const hcl = `ports { dns = -1, grpc = -1, grpc_tls = -1, server = ${server}, serf_lan = ${lan}, serf_wan = ${wan} } disable_update_check = true`;
    const args = ['agent', '-dev', '-bind', '127.0.0.1', '-client', '127.0.0.1', '-http-port', String(http), '-log-level', 'warn', '-hcl', hcl];
    return Process.start(join(installed.dir, 'bin/consul'), args, { env: { PATH: process.env.PATH, HOME: this.dir } });
  }

  async ready(): Promise<void> {
    const started = this.#process;
    const look = async (): Promise<boolean> => {
      if (started.ended !== undefined) throw new Error(started.output.slice(-2000));
      return (await this.get<string>('/status/leader')) !== '';
    };
    await waitFor(look, { timeout: 30_000, what: 'a leader of Consul' });
  }

  async get<T = any>(path: string): Promise<T> {
    const reply = await fetch(`http://${this.address}/v1${path}`, { signal: AbortSignal.timeout(5000) });
    return (await reply.json()) as T;
  }

  async put(path: string, body?: unknown): Promise<void> {
    const reply = await fetch(`http://${this.address}/v1${path}`, { method: 'PUT', body: JSON.stringify(body), signal: AbortSignal.timeout(5000) });
    if (!reply.ok) throw new Error(await reply.text());
  }

  /** What is registered under a service's name, as clients of Consul find it. */
  async instances(service: string, { passing = false } = {}): Promise<Instance[]> {
    const found = await this.get<{ Service: { ID: string } & Instance }[]>(`/health/service/${service}${passing ? '?passing' : ''}`);
    return found.map((x) => x.Service);
  }

  async halt(): Promise<void> {
    if (this.#process.ended === undefined) await this.#process.stop({ signal: 'SIGKILL' });
  }

  async resume(): Promise<void> {
    this.#process = this.#spawn();
    await this.ready();
  }

  async stop(): Promise<void> {
    await this.halt();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** Started before a suite's first test, ended after its last. */
export function useConsul(): Consul {
  let started: Consul | undefined;
  before(async () => {
    started = await Consul.start();
  });
  after(async () => {
    await started?.stop();
  });
  return new Proxy({} as Consul, {
    get(_, key) {
      if (!started) throw new Error('Consul is not started yet');
      const value = Reflect.get(started, key, started) as unknown;
      return typeof value === 'function' ? value.bind(started) : value;
    },
  });
}
