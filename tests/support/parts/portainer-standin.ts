// A stand-in for Portainer 2.19, of which there is no package: answers as its published contract says (access tokens,
// environments, registries, errors with details) and passes Docker's calls on to a real engine.
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

export interface StandinRegistry {
  id: number;
  url: string;
  user: string;
  password: string;
}

export interface StandinOptions {
  /** The engine's unix socket. */
  socket: string;
  token: string;
  endpoint?: { id: number; name: string };
  registries?: StandinRegistry[];
  /** A folder with cert.pem and key.pem: it then speaks TLS. */
  certificates?: string;
}

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

export class PortainerStandin {
  /** Calls that reached the engine, as "GET /v1.41/info". */
  readonly passed: string[] = [];
  #server: Server;
  #options: StandinOptions;

  private constructor(options: StandinOptions) {
    this.#options = options;
    const answer = (incoming: IncomingMessage, reply: ServerResponse) => this.#answer(incoming, reply);
    const folder = options.certificates;
    this.#server = folder
      ? createTlsServer({ cert: readFileSync(join(folder, 'cert.pem')), key: readFileSync(join(folder, 'key.pem')) }, answer)
      : createServer(answer);
  }

  static async start(t: TestContext, options: StandinOptions): Promise<PortainerStandin> {
    const standin = new PortainerStandin(options);
    await new Promise<void>((resolve) => standin.#server.listen(0, '127.0.0.1', resolve));
    t.after(() => standin.stop());
    return standin;
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo;
    return `${this.#options.certificates ? 'https' : 'http'}://127.0.0.1:${port}`;
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  get #endpoint() {
    return this.#options.endpoint ?? { id: 1, name: 'local' };
  }

  #answer(incoming: IncomingMessage, reply: ServerResponse): void {
    const url = new URL(incoming.url!, 'http://standin');
    if (incoming.headers['x-api-key'] !== this.#options.token) return refuse(reply, 401, 'A valid authorization token is missing', 'Unauthorized');
    const docker = /^\/api\/endpoints\/(\d+)\/docker(\/.*)$/.exec(url.pathname);
    if (docker) return this.#proxy(Number(docker[1]), docker[2]! + url.search, incoming, reply);
    if (incoming.method === 'GET' && url.pathname === '/api/endpoints') return this.#endpoints(url.searchParams.get('name'), reply);
    if (incoming.method === 'GET' && url.pathname === '/api/registries') return json(reply, 200, (this.#options.registries ?? []).map(shown));
    refuse(reply, 404, 'Not found', 'no such path');
  }

  #endpoints(name: string | null, reply: ServerResponse): void {
    const all = [{ ...this.#endpoint, id: this.#endpoint.id + 7, name: `${this.#endpoint.name}-2` }, this.#endpoint];
    json(reply, 200, all.filter((one) => name === null || one.name.includes(name)).map(({ id, name }) => ({ Id: id, Name: name, Type: 1, Status: 1 })));
  }

  #proxy(id: number, path: string, incoming: IncomingMessage, reply: ServerResponse): void {
    if (id !== this.#endpoint.id) {
      return refuse(reply, 404, 'Unable to find an environment with the specified identifier inside the database', 'object not found inside the database');
    }
    const headers: Record<string, string | string[] | undefined> = { ...incoming.headers, host: 'docker' };
    delete headers['x-api-key'];
    const login = headers['x-registry-auth'];
    if (login !== undefined) {
      const registry = this.#registryOf(String(login));
      if (!registry) return refuse(reply, 400, 'Invalid registry authentication header', 'no such registry');
      const kept = JSON.stringify({ username: registry.user, password: registry.password, serveraddress: registry.url });
      headers['x-registry-auth'] = Buffer.from(kept).toString('base64').replaceAll('+', '-').replaceAll('/', '_'); // padded
    }
    this.passed.push(`${incoming.method} ${path}`);
    const outgoing = request({ socketPath: this.#options.socket, method: incoming.method, path, headers }, (answer) => {
      reply.writeHead(answer.statusCode!, answer.headers);
      reply.flushHeaders();
      answer.pipe(reply);
    });
    outgoing.on('error', (error) => (reply.headersSent ? reply.destroy() : refuse(reply, 502, 'Bad gateway', String(error))));
    reply.on('close', () => outgoing.destroy());
    incoming.pipe(outgoing);
  }

  /** It takes the number of one of its own registries and nothing else. */
  #registryOf(header: string): StandinRegistry | undefined {
    if (!base64.test(header)) return undefined;
    try {
      const { registryId } = JSON.parse(Buffer.from(header, 'base64').toString('utf8'));
      return this.#options.registries?.find((one) => one.id === registryId);
    } catch {
      return undefined;
    }
  }
}

const shown = ({ id, url }: StandinRegistry) => ({ Id: id, Name: `registry ${id}`, URL: url, Authentication: true });

function json(reply: ServerResponse, status: number, value: unknown): void {
  reply.writeHead(status, { 'content-type': 'application/json' });
  reply.end(JSON.stringify(value));
}

function refuse(reply: ServerResponse, status: number, message: string, details: string): void {
  json(reply, status, { message, details });
}
