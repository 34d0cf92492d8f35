// The real Caddy with a configuration of an owner's own, on free ports, with data of its own.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request, type IncomingMessage } from 'node:http';
import { request as secureRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import type { PeerCertificate, TLSSocket } from 'node:tls';
import { Process } from '../process.ts';
import { freePort, waitFor } from '../wait.ts';
import { part } from './part.ts';

const installed = part('caddy');

export interface CaddyOptions {
  /** Further members of the admin endpoint's configuration. */
  admin?: object;
  /** The owner's server speaks TLS on `tlsPort`, and `port` leads there, as on an ordinary machine. */
  tls?: boolean;
  /** As which its owner calls the admin API; else by its own address. */
  origin?: string;
  /** In place of the owner's server on `port`: the whole `apps`. */
  apps?: object;
}

export interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: string;
}

export class Caddy {
  static readonly skip = installed.skip;
  /** Of the admin API, and where clients ask by plain HTTP. */
  readonly adminPort: number;
  readonly port: number;
  readonly tlsPort: number;
  readonly dir: string;
  #config: object;
  #origin: string;
  #process: Process;

  private constructor([adminPort, port, tlsPort]: [number, number, number], { admin = {}, apps, origin, tls = false }: CaddyOptions) {
    this.adminPort = adminPort;
    this.port = port;
    this.tlsPort = tlsPort;
    this.#origin = origin ?? `http://127.0.0.1:${adminPort}`;
    this.dir = mkdtempSync(join(tmpdir(), 'hbcloud-caddy-'));
    this.#config = {
      admin: { listen: `127.0.0.1:${adminPort}`, config: { persist: false }, ...admin },
      apps: apps ?? { http: tls ? this.#secure : { metrics: { per_host: true }, servers: { owner: this.ownersServer } } },
    };
    this.#process = this.#spawn();
  }

  static async start(options: CaddyOptions = {}): Promise<Caddy> {
    const caddy = new Caddy([await freePort(), await freePort(), await freePort()], options);
    try {
      await caddy.ready();
    } catch (error) {
      await caddy.stop();
      throw error;
    }
    return caddy;
  }

  /** What an owner might have: one site of his own, before and behind what hbcloud adds. */
  get ownersServer(): object {
    return {
      listen: [`127.0.0.1:${this.port}`],
      automatic_https: { disable: true },
      routes: [
        { match: [{ host: ['mine.example.net'] }], handle: [{ handler: 'static_response', body: 'the owner’s own' }], terminal: true },
        { match: [{ host: ['legacy.example.org'] }], handle: [{ handler: 'static_response', body: 'legacy' }], terminal: true },
      ],
    };
  }

  get #secure(): object {
    return { http_port: this.port, https_port: this.tlsPort, servers: { owner: { listen: [`:${this.tlsPort}`], routes: [] } } };
  }

  #spawn(): Process {
    const file = join(this.dir, 'caddy.json');
    writeFileSync(file, JSON.stringify(this.#config));
    return Process.start(join(installed.dir, 'bin/caddy'), ['run', '--config', file], {
      env: { PATH: process.env.PATH, HOME: this.dir, XDG_DATA_HOME: join(this.dir, 'data'), XDG_CONFIG_HOME: join(this.dir, 'config') },
    });
  }

  async ready(): Promise<void> {
    const started = this.#process;
    const look = async (): Promise<boolean> => {
      if (started.ended !== undefined) throw new Error(started.output.slice(-2000));
      await new Promise((resolve, reject) => {
        request({ port: this.adminPort, host: '127.0.0.1', path: '/config/', headers: this.#adminHeaders }, resolve).on('error', reject).end();
      });
      return true;
    };
    await waitFor(look, { what: 'readiness of Caddy' });
  }

  get #adminHeaders(): Record<string, string> {
    return { origin: this.#origin };
  }

  get adminUrl(): string {
    return `http://127.0.0.1:${this.adminPort}`;
  }

  /** The settings of a hub that routes by this Caddy. */
  get hubEnv(): Record<string, string> {
    return { CADDY_ADMIN_URL: this.adminUrl, HBCLOUD_CADDY_SERVER: 'owner', HBCLOUD_DOMAIN: 'example.org' };
  }

  /** The admin API, as its owner calls it. */
  async admin(method: string, path: string, body?: unknown): Promise<Answer> {
    const headers = { ...this.#adminHeaders, ...(body === undefined ? {} : { 'content-type': 'application/json' }) };
    return call({ method, port: this.adminPort, path, headers }, body === undefined ? undefined : JSON.stringify(body));
  }

  async config<T = any>(path = '/'): Promise<T> {
    return JSON.parse((await this.admin('GET', `/config${path}`)).body) as T;
  }

  /** What a client of this name gets. */
  get(host: string, path = '/', headers: Record<string, string> = {}): Promise<Answer> {
    return call({ method: 'GET', port: this.port, path, headers: { ...headers, host } });
  }

  /** What a client of this name gets by TLS, and the certificate that was shown; who signed it is not asked. */
  secure(host: string, path = '/'): Promise<Answer & { certificate: PeerCertificate }> {
    return new Promise((resolve, reject) => {
      const options = { host: '127.0.0.1', port: this.tlsPort, path, servername: host, headers: { host }, agent: false, timeout: 20_000 } as const;
      const asked = secureRequest({ ...options, rejectUnauthorized: false }, (reply) => {
        const certificate = (reply.socket as TLSSocket).getPeerCertificate();
        read(reply).then((answer) => resolve({ ...answer, certificate }), reject);
      });
      asked.on('error', reject).end();
    });
  }

  /** Another configuration, as `caddy reload` or another tool loads it. */
  async load(config: object): Promise<void> {
    const answer = await this.admin('POST', '/load', { admin: (this.#config as { admin: object }).admin, ...config });
    if (answer.status !== 200) throw new Error(answer.body);
  }

  /** Ends it and starts it again with the configuration of its first start. */
  async restart(): Promise<void> {
    await this.halt();
    await this.resume();
  }

  async halt(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.#process.ended === undefined) await this.#process.stop({ signal });
  }

  async resume(): Promise<void> {
    this.#process = this.#spawn();
    await this.ready();
  }

  async stop(): Promise<void> {
    await this.halt('SIGKILL');
    rmSync(this.dir, { recursive: true, force: true });
  }
}

function read(reply: IncomingMessage): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let text = '';
    reply.setEncoding('utf8').on('data', (piece: string) => (text += piece));
    reply.on('end', () => resolve({ status: reply.statusCode!, headers: reply.headers, body: text }));
    reply.on('error', reject);
  });
}

function call(options: object, body?: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', agent: false, timeout: 20_000, ...options }, (reply) => read(reply).then(resolve, reject));
    asked.on('timeout', () => asked.destroy(new Error('no answer within 20 s')));
    asked.on('error', reject);
    asked.end(body);
  });
}

/** Started before a suite's first test, ended after its last. */
export function useCaddy(options: CaddyOptions = {}): Caddy {
  let started: Caddy | undefined;
  before(async () => {
    started = await Caddy.start(options);
  });
  after(async () => {
    await started?.stop();
  });
  /* What a suite names before its start is looked up when it is used. */
  return new Proxy({} as Caddy, {
    get(_, key) {
      if (!started) throw new Error('Caddy is not started yet');
      const value = Reflect.get(started, key, started) as unknown;
      return typeof value === 'function' ? value.bind(started) : value;
    },
  });
}
