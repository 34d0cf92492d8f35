// A private image registry on loopback, which engines trust without TLS.
import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { Image } from '../images.ts';
import { Process } from '../process.ts';
import { freePort, waitFor } from '../wait.ts';
import { part } from './part.ts';

const installed = part('registry');

const manifestType = 'application/vnd.docker.distribution.manifest.v2+json';
const indexType = 'application/vnd.docker.distribution.manifest.list.v2+json';

export interface Pushed {
  /** "127.0.0.1:PORT/name:tag", as an engine pulls it. */
  reference: string;
  /** Of the manifest or index that the tag names. */
  digest: string;
}

/** Without it anyone may push and pull. */
export interface Login {
  user: string;
  password: string;
}

interface Blob {
  digest: string;
  size: number;
}

const digestOf = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

export class Registry {
  static readonly skip = installed.skip;
  readonly address: string;
  readonly dir: string;
  #process: Process;
  #headers: Record<string, string>;

  private constructor(address: string, dir: string, started: Process, login?: Login) {
    this.address = address;
    this.dir = dir;
    this.#process = started;
    this.#headers = login ? { authorization: `Basic ${Buffer.from(`${login.user}:${login.password}`).toString('base64')}` } : {};
  }

  /** Starts an empty registry that ends with the test; with a login it lets nobody else push or pull. */
  static async start(t?: TestContext, { login }: { login?: Login } = {}): Promise<Registry> {
    const dir = mkdtempSync(join(tmpdir(), 'hbcloud-registry-'));
    const address = `127.0.0.1:${await freePort()}`;
    const config = join(dir, 'config.yml');
    writeFileSync(config, registryConfig(address, dir, login !== undefined));
    if (login) writeFileSync(join(dir, 'htpasswd'), `${login.user}:${bcrypt(login.password)}\n`);
    const started = Process.start(join(installed.dir, 'usr/bin/docker-registry'), ['serve', config]);
    const registry = new Registry(address, dir, started, login);
    t?.after(() => registry.stop());
    await waitFor(async () => (await registry.#fetch('/v2/')).ok, { what: `readiness of the registry: ${started.output}` });
    return registry;
  }

  #fetch(path: string, options: RequestInit = {}): Promise<Response> {
    return fetch(`http://${this.address}${path}`, { ...options, headers: { ...this.#headers, ...options.headers }, signal: AbortSignal.timeout(30_000) });
  }

  async #must(path: string, options: RequestInit): Promise<Response> {
    const reply = await this.#fetch(path, options);
    if (!reply.ok) throw new Error(`registry: ${options.method} ${path}: ${reply.status} ${await reply.text()}`);
    return reply;
  }

  async #pushBlob(name: string, bytes: Buffer): Promise<Blob> {
    const digest = digestOf(bytes);
    const started = await this.#must(`/v2/${name}/blobs/uploads/`, { method: 'POST' });
    const place = new URL(started.headers.get('location')!, `http://${this.address}`);
    place.searchParams.set('digest', digest);
    await this.#must(place.pathname + place.search, {
      method: 'PUT',
      headers: { 'content-type': 'application/octet-stream' },
      body: new Uint8Array(bytes),
    });
    return { digest, size: bytes.length };
  }

  async #pushManifest(name: string, reference: string, type: string, manifest: object): Promise<Blob> {
    const bytes = Buffer.from(JSON.stringify(manifest));
    await this.#must(`/v2/${name}/manifests/${reference}`, { method: 'PUT', headers: { 'content-type': type }, body: new Uint8Array(bytes) });
    return { digest: digestOf(bytes), size: bytes.length };
  }

  async #pushPlatform(name: string, image: Image, architecture: string, reference?: string): Promise<Blob> {
    const layer = await this.#pushBlob(name, gzipSync(image.rootfs, { level: 1 }));
    const config = await this.#pushBlob(
      name,
      Buffer.from(
        JSON.stringify({ architecture, os: 'linux', config: image.config, rootfs: { type: 'layers', diff_ids: [digestOf(image.rootfs)] } }),
      ),
    );
    const manifest = {
      schemaVersion: 2,
      mediaType: manifestType,
      config: { mediaType: 'application/vnd.docker.container.image.v1+json', ...config },
      layers: [{ mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip', ...layer }],
    };
    return this.#pushManifest(name, reference ?? digestOf(Buffer.from(JSON.stringify(manifest))), manifestType, manifest);
  }

  /** Pushes one image for this machine's platform under name:tag. */
  async push(name: string, tag: string, image: Image): Promise<Pushed> {
    const { digest } = await this.#pushPlatform(name, image, hostArchitecture(), tag);
    return { reference: `${this.address}/${name}:${tag}`, digest };
  }

  /** Pushes an index of two platforms: the image for this machine, and another that only differs in its settings. */
  async pushIndex(name: string, tag: string, image: Image): Promise<Pushed> {
    const other = { ...image, config: { ...image.config, Labels: { platform: 'other', salt: randomBytes(4).toString('hex') } } };
    const platforms: [string, Image][] = [
      [hostArchitecture(), image],
      ['s390x', other],
    ];
    const manifests = [];
    for (const [architecture, each] of platforms) {
      const pushed = await this.#pushPlatform(name, each, architecture);
      manifests.push({ mediaType: manifestType, ...pushed, platform: { architecture, os: 'linux' } });
    }
    const { digest } = await this.#pushManifest(name, tag, indexType, { schemaVersion: 2, mediaType: indexType, manifests });
    return { reference: `${this.address}/${name}:${tag}`, digest };
  }

  /** Deletes a manifest; tags that named it name nothing. */
  async forget(name: string, digest: string): Promise<void> {
    await this.#must(`/v2/${name}/manifests/${digest}`, { method: 'DELETE' });
  }

  async stop(): Promise<void> {
    if (this.#process.ended === undefined) await this.#process.stop();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

function hostArchitecture(): string {
  return process.arch === 'x64' ? 'amd64' : process.arch;
}

/** The one form of password that the registry reads; libcrypt makes it. */
function bcrypt(password: string): string {
  const salt = `$2y$05$${randomBytes(11).toString('hex')}`;
  const run = spawnSync('perl', ['-e', 'print crypt($ENV{PASSWORD}, $ENV{SALT})'], { encoding: 'utf8', env: { PASSWORD: password, SALT: salt } });
  if (run.status !== 0 || !run.stdout.startsWith('$2y$')) throw new Error(`no bcrypt here: ${run.stderr}`);
  return run.stdout;
}

function registryConfig(address: string, dir: string, locked: boolean): string {
  const auth = locked ? `auth: { htpasswd: { realm: tests, path: ${dir}/htpasswd } }\n` : '';
  return `version: 0.1
log: { level: warn }
storage: { filesystem: { rootdirectory: ${dir}/data }, delete: { enabled: true } }
http: { addr: ${address} }
${auth}`;
}
