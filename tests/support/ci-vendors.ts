// Stand-ins for the APIs of GitHub and Travis CI, which are not to be had in a test: they answer by the vendors' contracts and
// refuse what the vendors refuse, so that a wrong call fails here as it would there.
import { createSign, generateKeyPairSync } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

export interface Answer {
  status: number;
  body: unknown;
  headers?: Record<string, string>;
}
export interface Call {
  method: string;
  path: string;
  body: any;
}

abstract class Vendor {
  /** Every call that was not refused, in order. */
  readonly calls: Call[] = [];
  /** Answers that come before any other, one a call. */
  readonly next: Answer[] = [];
  url = '';
  #server: Server;

  constructor() {
    this.#server = createServer(async (request, response) => {
      let text = '';
      for await (const chunk of request) text += chunk;
      const { status, body, headers } = this.next.shift() ?? this.checked(request, text);
      response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', ...headers });
      response.end(JSON.stringify(body));
    });
  }

  async start(t?: TestContext): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    t?.after(() => this.stop());
    return this;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  private checked(request: IncomingMessage, text: string): Answer {
    const url = new URL(request.url!, 'http://vendor');
    const body = text === '' ? undefined : JSON.parse(text);
    const refusal = this.refuses(request, url, body);
    if (refusal) return refusal;
    this.calls.push({ method: request.method!, path: request.url!, body });
    return this.answer(request.method!, url, body);
  }

  protected abstract refuses(request: IncomingMessage, url: URL, body: any): Answer | undefined;
  protected abstract answer(method: string, url: URL, body: any): Answer;
}

const states = ['error', 'failure', 'inactive', 'in_progress', 'queued', 'pending', 'success'];

export class GithubApi extends Vendor {
  static readonly token = 'ghp_of_a_test';
  /** What /actions/runs lists, newest first. */
  runs: any[] = [];
  /** Statuses by the deployment's id. */
  readonly statuses = new Map<number, { state: string; description: string }[]>();
  readonly deployments: any[] = [];

  protected refuses({ headers, method }: IncomingMessage, url: URL, body: any): Answer | undefined {
    const no = (status: number, message: string): Answer => ({ status, body: { message, documentation_url: 'https://docs.github.com/rest' } });
    if (!headers['user-agent']) return no(403, 'Request forbidden by administrative rules. Please make sure your request has a User-Agent header.');
    if (headers.authorization !== `Bearer ${GithubApi.token}`) return no(401, 'Bad credentials');
    if (!/^2022-11-28$/.test(String(headers['x-github-api-version']))) return no(400, 'Unsupported API version');
    if (method === 'POST' && !/^application\/json/.test(String(headers['content-type']))) return no(415, 'Unsupported Media Type');
    if (Number(url.searchParams.get('per_page') ?? 30) > 100) return no(422, 'per_page is over 100');
    const created = url.searchParams.get('created');
    if (created && !/^(>=|<=|>|<)?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(created)) return no(422, 'created is no date');
    if (url.pathname.endsWith('/deployments') && method === 'POST' && !body?.ref) return no(422, 'Validation Failed: ref');
    if (url.pathname.endsWith('/statuses') && (!states.includes(body?.state) || [...(body.description ?? '')].length > 140)) return no(422, 'Validation Failed: state or description');
    return undefined;
  }

  protected answer(method: string, url: URL, body: any): Answer {
    const asked = /^\/repos\/([\w.-]+\/[\w.-]+)\/actions\/runs$/.exec(url.pathname);
    if (asked) {
      const since = Date.parse((url.searchParams.get('created') ?? '').replace(/^[<>=]+/, ''));
      const size = Number(url.searchParams.get('per_page') ?? 30), page = Number(url.searchParams.get('page') ?? 1);
      const runs = this.runs.filter((run) => run.repository.full_name === asked[1] && !(Date.parse(run.created_at) < since));
      return { status: 200, body: { total_count: runs.length, workflow_runs: runs.slice((page - 1) * size, page * size) } };
    }
    if (method === 'POST' && url.pathname.endsWith('/deployments')) {
      const id = 9000 + this.deployments.push(body);
      this.statuses.set(id, []);
      return { status: 201, body: { id, ...body } };
    }
    const at = /\/deployments\/(\d+)\/statuses$/.exec(url.pathname);
    const kept = at && this.statuses.get(Number(at[1]));
    if (!kept || method !== 'POST') return { status: 404, body: { message: 'Not Found' } };
    kept.push(body);
    return { status: 201, body: { id: kept.length, ...body } };
  }
}

export class TravisApi extends Vendor {
  static readonly token = 'travis-of-a-test';
  /** By repository, newest first. */
  builds: Record<string, any[]> = {};
  #keys = generateKeyPairSync('rsa', { modulusLength: 2048 });
  /** How often its key was asked for. */
  asked = 0;

  /** From now on it signs by another key. */
  renewKey(): void {
    this.#keys = generateKeyPairSync('rsa', { modulusLength: 2048 });
  }

  sign(payload: string): string {
    return createSign('sha1').update(payload).sign(this.#keys.privateKey, 'base64');
  }

  protected refuses({ headers }: IncomingMessage, url: URL): Answer | undefined {
    const no = (status: number, type: string): Answer => ({ status, body: { '@type': 'error', error_type: type, error_message: type } });
    if (url.pathname === '/config') return undefined;
    if (headers['travis-api-version'] !== '3') return no(404, 'not_found');
    if (headers.authorization !== `token ${TravisApi.token}`) return no(403, 'login_required');
    return Number(url.searchParams.get('limit') ?? 25) > 100 ? no(400, 'wrong_params') : undefined;
  }

  protected answer(_method: string, url: URL): Answer {
    if (url.pathname === '/config') {
      this.asked++;
      const public_key = this.#keys.publicKey.export({ type: 'spki', format: 'pem' }).toString();
      return { status: 200, body: { config: { notifications: { webhook: { public_key } } } } };
    }
    const asked = /^\/repo\/([\w.-]+)%2F([\w.-]+)\/builds$/.exec(url.pathname);
    if (!asked) return { status: 404, body: { '@type': 'error', error_type: 'not_found' } };
    const offset = Number(url.searchParams.get('offset') ?? 0), limit = Number(url.searchParams.get('limit') ?? 25);
    return { status: 200, body: { '@type': 'builds', builds: (this.builds[`${asked[1]}/${asked[2]}`] ?? []).slice(offset, offset + limit) } };
  }
}
