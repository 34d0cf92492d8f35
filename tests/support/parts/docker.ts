// Real Docker engines, each on its own socket, folders, bridge and containerd, so that any number run side by side.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir, networkInterfaces } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Process } from '../process.ts';
import { waitFor } from '../wait.ts';
import { part, type Part } from './part.ts';

export interface EngineReply {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: Buffer;
  /** The body as JSON; undefined where it is empty. */
  json: any;
}

const oldPart = part('docker-old', { privileged: true });
const newPart = part('docker-new', { privileged: true, slow: true });

export class Engine {
  readonly name: string;
  readonly dir: string;
  readonly socket: string;
  #process: Process;

  private constructor(name: string, dir: string, started: Process) {
    this.name = name;
    this.dir = dir;
    this.socket = join(dir, 'docker.sock');
    this.#process = started;
  }

  /** `enter` is the command that puts it elsewhere, such as into a network namespace; `flags` are dockerd's. */
  static async start(flavour: Flavour, { enter = [], flags = [] }: { enter?: string[]; flags?: string[] } = {}): Promise<Engine> {
    const dir = mkdtempSync(join(tmpdir(), `hbcloud-${flavour.name}-`));
    const net = freeSubnet();
    const runtime = `${oldPart.dir}/usr/sbin:${oldPart.dir}/usr/bin`;
    const [command, ...args] = [...enter, 'unshare', '--mount', '--propagation', 'unchanged', engineScript];
    const started = Process.start(
      command!,
      [...args, dir, net.bridge, net.address, net.pool, flavour.dockerd, ...flags],
      { env: { ...process.env, PATH: `${flavour.proxyDir}:${runtime}:/usr/sbin:/sbin:${process.env.PATH}` } },
    );
    const engine = new Engine(flavour.name, dir, started);
    try {
      await waitFor(() => engine.#answersOrEnded(), { timeout: 60_000, what: `readiness of ${flavour.name}` });
    } catch (error) {
      const log = engine.log();
      await engine.stop();
      throw new Error(`${String(error)}\n${log}`);
    }
    return engine;
  }

  async #answersOrEnded(): Promise<boolean> {
    if (this.#process.ended !== undefined) throw new Error(`it ended: ${JSON.stringify(this.#process.ended)} ${this.#process.output}`);
    return (await this.request('GET', '/_ping')).status === 200;
  }

  /** As DOCKER_HOST wants it. */
  get host(): string {
    return `unix://${this.socket}`;
  }

  /** What the daemon wrote last. */
  log(): string {
    try {
      return readFileSync(join(this.dir, 'dockerd.log'), 'utf8').slice(-4000);
    } catch {
      return this.#process.output;
    }
  }

  /** One call of the Engine's API; the path carries no version, so the engine takes its newest. */
  request(method: string, path: string, body?: Buffer | object, headers: Record<string, string> = {}): Promise<EngineReply> {
    const bytes = body === undefined ? undefined : Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
    const type = Buffer.isBuffer(body) ? 'application/x-tar' : 'application/json';
    const sent = bytes === undefined ? headers : { 'content-type': type, 'content-length': String(bytes.length), ...headers };
    return new Promise((resolve, reject) => {
      const outgoing = request({ socketPath: this.socket, method, path, headers: sent }, (reply) => {
        const chunks: Buffer[] = [];
        reply.on('data', (chunk: Buffer) => chunks.push(chunk));
        reply.on('error', reject);
        reply.on('end', () => resolve(engineReply(reply.statusCode!, reply.headers, Buffer.concat(chunks))));
      });
      outgoing.on('error', reject);
      outgoing.end(bytes);
    });
  }

  /** A call that must succeed. */
  async call(method: string, path: string, body?: Buffer | object, headers?: Record<string, string>): Promise<any> {
    const reply = await this.request(method, path, body, headers);
    const streamedError = /"errorDetail"/.test(reply.body.toString('utf8'));
    if (reply.status >= 400 || streamedError) throw new Error(`${this.name}: ${method} ${path}: ${reply.status} ${reply.body}`);
    return reply.json;
  }

  containers(all = true): Promise<any[]> {
    return this.call('GET', `/containers/json?all=${all}`);
  }

  /** Creates and starts a container; returns its id. */
  async run(image: string, config: Record<string, unknown> = {}, name?: string): Promise<string> {
    const query = name === undefined ? '' : `?name=${encodeURIComponent(name)}`;
    const { Id } = await this.call('POST', `/containers/create${query}`, { Image: image, ...config });
    await this.call('POST', `/containers/${Id}/start`);
    return Id;
  }

  /** Imports a root file system as an image; `changes` are Dockerfile instructions. */
  async importImage(name: string, rootfs: Buffer, changes: string[] = []): Promise<void> {
    const [repo, tag = 'latest'] = splitTag(name);
    const query = new URLSearchParams({ fromSrc: '-', repo, tag });
    for (const change of changes) query.append('changes', change);
    await this.call('POST', `/images/create?${query}`, rootfs);
  }

  /** Ends the engine in order, as an upgrade does, until `resume`; its containers stop with it. */
  pause(): Promise<void> {
    return this.#leave('SIGTERM');
  }

  /** Ends the engine at once, until `resume`; its containers run on, unreached, and it starts them anew when it is back. */
  kill9(): Promise<void> {
    return this.#leave('SIGKILL');
  }

  async #leave(signal: NodeJS.Signals): Promise<void> {
    for (const mark of ['again', 'paused']) writeFileSync(join(this.dir, mark), '');
    process.kill(Number(readFileSync(join(this.dir, 'docker.pid'), 'utf8')), signal);
    await waitFor(() => this.request('GET', '/_ping').then(() => false, () => true), { timeout: 30_000, what: `the end of ${this.name}` });
  }

  async resume(): Promise<void> {
    rmSync(join(this.dir, 'paused'));
    await waitFor(() => this.#answersOrEnded(), { timeout: 60_000, what: `readiness of ${this.name}` });
  }

  /** Stops every container, then the daemons, and removes all that they left. */
  async stop(): Promise<void> {
    if (this.#process.ended === undefined) {
      await this.#removeContainers();
      await this.#process.stop({ timeout: 60_000 });
    }
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 5 });
  }

  async #removeContainers(): Promise<void> {
    try {
      const containers = await this.containers();
      await Promise.all(containers.map((c) => this.request('DELETE', `/containers/${c.Id}?force=true&v=true`)));
    } catch {
      // An engine that no longer answers has its containers' processes killed by engine.sh.
    }
  }
}

function engineReply(status: number, headers: EngineReply['headers'], body: Buffer): EngineReply {
  const isJson = String(headers['content-type'] ?? '').startsWith('application/json');
  let json: unknown;
  try {
    json = isJson && body.length > 0 ? JSON.parse(body.toString('utf8')) : undefined;
  } catch {
    json = undefined; // a stream of several documents: the caller reads `body`
  }
  return { status, headers, body, json };
}

function splitTag(name: string): [string, string?] {
  const colon = name.lastIndexOf(':');
  return colon > name.lastIndexOf('/') ? [name.slice(0, colon), name.slice(colon + 1)] : [name];
}

const engineScript = fileURLToPath(new URL('engine.sh', import.meta.url));

/** A bridge name and a /24 that no interface of this machine uses, with a /16 of its own for the engine's networks. */
function freeSubnet(): { bridge: string; address: string; pool: string } {
  const used = new Set(Object.values(networkInterfaces()).flatMap((list) => list!.map((a) => a.address.split('.').slice(0, 3).join('.'))));
  for (let tries = 0; tries < 200; tries++) {
    const third = Math.floor(Math.random() * 100);
    if (used.has(`10.213.${third}`)) continue;
    const bridge = `hbt${third}x${process.pid % 100_000}`;
    return { bridge, address: `10.213.${third}.1/24`, pool: `10.${100 + third}.0.0/16` };
  }
  throw new Error('no free subnet in 10.213.0.0/16');
}

export class Flavour {
  readonly name: string;
  readonly dockerd: string;
  readonly proxyDir: string;
  /** The folder of the `docker` program (of the old engine, which speaks to both). */
  readonly programs: string;
  /** For node:test's `skip`. */
  readonly skip: string | false;

  constructor(part: Part, bin: string) {
    this.name = part.name;
    this.dockerd = join(part.dir, bin, 'dockerd');
    this.proxyDir = join(part.dir, bin);
    this.programs = join(oldPart.dir, 'usr/bin');
    this.skip = part.skip;
  }

  /** Starts an engine that ends with the test; `flags` are dockerd's. */
  async start(t?: TestContext, flags: string[] = []): Promise<Engine> {
    const engine = await Engine.start(this, { flags });
    t?.after(() => engine.stop());
    return engine;
  }
}

/** Speaks API 1.41 at most (Debian 12). */
export const dockerOld = new Flavour(oldPart, 'usr/sbin');
/** Refuses below API 1.44. */
export const dockerNew = new Flavour(oldPart.skip ? { ...newPart, skip: oldPart.skip } : newPart, 'bin');
/** One test per flavour: `for (const flavour of engines) test(`… on ${flavour.name}`, { skip: flavour.skip }, …)`. */
export const engines = [dockerOld, dockerNew];
