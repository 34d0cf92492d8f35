// A client of the hub's API, typed by the contract: tests/support/api.d.ts is generated from docs/api/openapi.yaml.
import assert from 'node:assert/strict';
import type { paths } from './api.d.ts';

export type Method = 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';
type Operation<M extends Method, P extends keyof paths> = NonNullable<paths[P][Lowercase<M> & keyof paths[P]]>;
/** The paths of the contract that have this method. */
export type PathOf<M extends Method> = {
  [P in keyof paths]: [Operation<M, P>] extends [never] ? never : P;
}[keyof paths] &
  string;

type Json<T> = T extends { content: { 'application/json': infer Body } } ? Body : undefined;
type Responses<O> = O extends { responses: infer R } ? R : never;
type Answers<M extends Method, P extends PathOf<M>> = {
  [S in keyof Responses<Operation<M, P>> & (200 | 201 | 202 | 204)]: Json<Responses<Operation<M, P>>[S]>;
}[keyof Responses<Operation<M, P>> & (200 | 201 | 202 | 204)];
/** What a success answers, where no plan was asked for. */
export type Success<M extends Method, P extends PathOf<M>> = Exclude<Answers<M, P>, { plan: unknown }>;
/** What would happen, where a plan was asked for. */
export type Planned<M extends Method, P extends PathOf<M>> = Extract<Answers<M, P>, { plan: unknown }>;

type Part<O, Name extends string> = O extends { parameters: infer All } ? (Name extends keyof All ? All[Name] : undefined) : undefined;
type BodyOf<O> = O extends { requestBody?: infer B } ? Json<NonNullable<B>> : undefined;

export interface Options<M extends Method, P extends PathOf<M>> {
  params?: Part<Operation<M, P>, 'path'>;
  query?: Part<Operation<M, P>, 'query'>;
  body?: BodyOf<Operation<M, P>>;
  headers?: Record<string, string>;
  /** Another API key than the owner's; null sends none. */
  key?: string | null;
  timeout?: number;
}

export interface Reply<Body = any> {
  status: number;
  headers: Headers;
  /** Parsed where it is JSON, else text. */
  body: Body;
}

export interface RawOptions {
  query?: Record<string, unknown>;
  /** An object is sent as JSON, text and bytes as they are. */
  body?: unknown;
  headers?: Record<string, string>;
  key?: string | null;
  timeout?: number;
}

export class Client {
  readonly url: string;
  key: string | undefined;

  constructor(url: string, key?: string) {
    this.url = url;
    this.key = key;
  }

  /** Any request at all, also ones that the contract forbids; the path is taken from the root. */
  async raw(method: string, path: string, { query, body, headers = {}, key = this.key, timeout = 15_000 }: RawOptions = {}): Promise<Reply> {
    const url = new URL(path, this.url);
    for (const [name, value] of Object.entries(query ?? {})) {
      for (const each of Array.isArray(value) ? value : [value]) if (each !== undefined) url.searchParams.append(name, String(each));
    }
    const asIs = body === undefined || typeof body === 'string' || body instanceof Uint8Array;
    const sent: Record<string, string> = {
      ...(key && { 'x-api-key': key }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    };
    const reply = await fetch(url, {
      method,
      headers: sent,
      body: asIs ? (body as RequestInit['body']) : JSON.stringify(body),
      redirect: 'manual',
      signal: AbortSignal.timeout(timeout),
    });
    const text = await reply.text();
    const isJson = /[/+]json/.test(reply.headers.get('content-type') ?? '');
    return { status: reply.status, headers: reply.headers, body: isJson && text !== '' ? JSON.parse(text) : text };
  }

  /** A request of the contract, whatever it answers. */
  api<M extends Method, P extends PathOf<M>>(method: M, path: P, { params, query, ...rest }: Options<M, P> = {}): Promise<Reply> {
    const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => {
      const value = (params as Record<string, unknown> | undefined)?.[name];
      assert.notEqual(value, undefined, `${method} ${path} needs the parameter ${name}`);
      return encodeURIComponent(String(value));
    });
    return this.raw(method, `${outsideV1.has(path) ? '' : '/v1'}${filled}`, { ...rest, query: query as Record<string, unknown> | undefined });
  }

  /** A request that must succeed; gives the body that the contract promises. */
  async ok<M extends Method, P extends PathOf<M>>(method: M, path: P, options?: Options<M, P>): Promise<Success<M, P>> {
    const reply = await this.api(method, path, options);
    assert.ok(reply.status >= 200 && reply.status < 300, `${method} ${path}: ${reply.status} ${JSON.stringify(reply.body)}`);
    return reply.body;
  }

  /** What a request would do; nothing is done. */
  async plan<M extends Method, P extends PathOf<M>>(method: M, path: P, options?: Options<M, P>): Promise<Planned<M, P>> {
    const query = { ...(options as { query?: object } | undefined)?.query, plan: true };
    const reply = await this.api(method, path, { ...options, query } as Options<M, P>);
    assert.equal(reply.status, 200, `${method} ${path}: ${reply.status} ${JSON.stringify(reply.body)}`);
    return reply.body;
  }

  /** A request that must be refused with this status; gives the error. */
  async refused<M extends Method, P extends PathOf<M>>(status: number, method: M, path: P, options?: Options<M, P>): Promise<ApiError> {
    const reply = await this.api(method, path, options);
    assert.equal(reply.status, status, `${method} ${path}: ${reply.status} ${JSON.stringify(reply.body)}`);
    return reply.body;
  }

  /** Live events from now on, or from after `lastEventId`. Close it, or let the test's end do so. */
  async events(options: EventOptions = {}): Promise<EventStream> {
    return EventStream.open(this, options);
  }
}

const outsideV1 = new Set<string>(['/healthz', '/readyz', '/metrics', '/docs']);

export interface ApiError {
  error: { code: string; message: string; details?: Record<string, unknown> };
  [other: string]: unknown;
}

export interface EventOptions {
  lastEventId?: string;
  query?: Record<string, unknown>;
  key?: string | null;
}

export interface ServerEvent {
  id: string | undefined;
  type: string;
  data: any;
}

export class EventStream implements AsyncIterable<ServerEvent> {
  readonly headers: Headers;
  /** Everything that has arrived so far. */
  readonly seen: ServerEvent[] = [];
  #abort: AbortController;
  #waiting = new Set<() => void>();
  #ended: unknown;

  private constructor(reply: Response, abort: AbortController) {
    this.headers = reply.headers;
    this.#abort = abort;
    void this.#pump(reply.body!);
  }

  static async open(client: Client, { lastEventId, query, key = client.key }: EventOptions): Promise<EventStream> {
    const abort = new AbortController();
    const url = new URL('/v1/events', client.url);
    for (const [name, value] of Object.entries(query ?? {})) url.searchParams.set(name, String(value));
    const headers = { accept: 'text/event-stream', ...(key && { 'x-api-key': key }), ...(lastEventId && { 'last-event-id': lastEventId }) };
    const reply = await fetch(url, { headers, signal: abort.signal });
    assert.equal(reply.status, 200, `the event stream: ${reply.status}`);
    return new EventStream(reply, abort);
  }

  async #pump(body: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    let text = '';
    try {
      for await (const chunk of body as unknown as AsyncIterable<Uint8Array>) {
        text += decoder.decode(chunk, { stream: true });
        const frames = text.split('\n\n');
        text = frames.pop()!;
        for (const frame of frames) this.#take(frame);
      }
      this.#ended = 'the hub closed the event stream';
    } catch (error) {
      this.#ended = error;
    }
    this.#wake();
  }

  #take(frame: string): void {
    const fields: Record<string, string[]> = {};
    for (const line of frame.split('\n')) {
      const found = /^(\w+):? ?(.*)$/.exec(line);
      if (found) (fields[found[1]!] ??= []).push(found[2]!);
    }
    if (fields.data === undefined) return; // a comment: heartbeat or opening bytes
    this.seen.push({ id: fields.id?.[0], type: fields.event?.[0] ?? 'message', data: JSON.parse(fields.data.join('\n')) });
    this.#wake();
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }

  async *[Symbol.asyncIterator](): AsyncIterator<ServerEvent> {
    for (let at = 0; ; ) {
      if (at < this.seen.length) yield this.seen[at++]!;
      else if (this.#ended !== undefined) return;
      else await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  /** The first event, from the stream's beginning, that the predicate takes. */
  async until(wanted: (event: ServerEvent) => boolean, { timeout = 15_000 } = {}): Promise<ServerEvent> {
    const timer = setTimeout(() => {
      this.#ended = new Error(`no such event within ${timeout} ms; seen: ${JSON.stringify(this.seen.map((e) => e.type))}`);
      this.#wake();
    }, timeout);
    try {
      for await (const event of this) if (wanted(event)) return event;
    } finally {
      clearTimeout(timer);
    }
    throw this.#ended;
  }

  close(): void {
    this.#abort.abort();
  }
}
