// The process of tests/support/load.ts: raw clients without any retry, until SIGTERM; then one line of JSON with what they saw.
// A client that finds its connection closed before it sends connects anew: that is no failure. Anything lost after sending is.
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';

export interface LoadOptions {
  /** Where the proxy listens. */
  port: number;
  /** The Host of the service that is switched, and of a bystander that is not. */
  host: string;
  bystander?: string;
  /** Requests a second by kind; none of those that are not named. */
  keepAliveGet?: number;
  keepAlivePost?: number;
  newGet?: number;
  trickle?: number;
  upload?: number;
  /** Streams held at a time, each for `streamSeconds`. */
  eventStreams?: number;
  sockets?: number;
  streamSeconds?: number;
}

export interface Count {
  sent: number;
  failed: number;
  /** Versions that answered, and how often. */
  versions: Record<string, number>;
  failures: string[];
}
export type LoadReport = Record<string, Count>;

const none = { keepAliveGet: 0, keepAlivePost: 0, newGet: 0, trickle: 0, upload: 0, eventStreams: 0, sockets: 0, streamSeconds: 0 };
const options = { ...none, ...(JSON.parse(process.argv[2]!) as LoadOptions) };
const report: LoadReport = {};
let ending = false;

function count(kind: string): Count {
  return (report[kind] ??= { sent: 0, failed: 0, versions: {}, failures: [] });
}

function failed(kind: string, why: string): void {
  const c = count(kind);
  c.failed++;
  if (c.failures.length < 20) c.failures.push(`${new Date().toISOString()} ${why}`);
}

function answered(kind: string, version: string | undefined): void {
  const c = count(kind);
  if (version !== undefined) c.versions[version] = (c.versions[version] ?? 0) + 1;
}

interface Answer {
  status: number;
  head: string;
  body: string;
}

/** One connection; one request at a time. */
class Connection {
  socket: Socket | undefined;
  #data = '';
  #wake: (() => void) | undefined;
  #closed = '';

  async open(): Promise<void> {
    this.#data = '';
    this.#closed = '';
    const socket = connect({ port: options.port, host: '127.0.0.1', noDelay: true });
    this.socket = socket;
    socket.setEncoding('latin1');
    // What the connection before this one still has to say is not about this one.
    const mine = (act: () => void): void => { if (this.socket === socket) { act(); this.#wake?.(); } };
    socket.on('data', (text: string) => mine(() => { this.#data += text; }));
    socket.on('end', () => mine(() => { this.#closed ||= 'closed by the proxy'; }));
    socket.on('error', (error: NodeJS.ErrnoException) => mine(() => { this.#closed ||= error.code ?? error.message; }));
    socket.on('close', () => mine(() => { this.#closed ||= 'closed'; }));
    await new Promise<void>((done, refuse) => { socket.once('connect', done); socket.once('error', refuse); });
  }

  get usable(): boolean {
    return this.socket !== undefined && this.#closed === '' && !this.socket.destroyed;
  }

  get received(): string {
    return this.#data;
  }

  get why(): string {
    return this.#closed;
  }

  close(): void {
    this.socket?.destroy();
    this.socket = undefined;
  }

  /** Until `enough` is true of what has come; throws when the connection ends first. */
  async until(enough: (data: string) => boolean, ms = 60_000): Promise<void> {
    const deadline = Date.now() + ms;
    while (!enough(this.#data)) {
      if (this.#closed) throw new Error(`${this.#closed} after ${this.#data.length} bytes`);
      const left = deadline - Date.now();
      if (left <= 0) throw new Error('no answer in time');
      await new Promise<void>((done) => {
        const timer = setTimeout(done, left);
        this.#wake = () => { clearTimeout(timer); done(); };
      });
    }
  }

  async answer(): Promise<Answer> {
    await this.until((d) => d.includes('\r\n\r\n'));
    const end = this.#data.indexOf('\r\n\r\n') + 4;
    const head = this.#data.slice(0, end);
    const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
    await this.until((d) => d.length >= end + length);
    const body = this.#data.slice(end, end + length);
    this.#data = this.#data.slice(end + length);
    if (/\r\nconnection: close/i.test(head)) this.close();
    return { status: Number(head.slice(9, 12)), head, body };
  }
}

const rest = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));
const versionOf = (head: string): string | undefined => /x-version: (.*)\r/i.exec(head)?.[1];

function text(method: string, path: string, host: string, more = '', body = ''): string {
  const length = method === 'POST' && !/transfer-encoding/i.test(more) ? `Content-Length: ${body.length}\r\n` : '';
  return `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${length}${more}\r\n${body}`;
}

async function exchange(kind: string, c: Connection, request: string | ((s: Socket) => Promise<void>)): Promise<void> {
  try {
    if (!c.usable) await c.open();
  } catch (error) {
    count(kind).sent++;
    failed(kind, `cannot connect: ${(error as Error).message}`);
    return c.close();
  }
  count(kind).sent++;
  try {
    if (typeof request === 'string') c.socket!.write(request);
    else await request(c.socket!);
    const { status, head } = await c.answer();
    if (status !== 200) failed(kind, `status ${status}`);
    else answered(kind, versionOf(head));
  } catch (error) {
    failed(kind, (error as Error).message);
    c.close();
  }
}

/** `perSecond` requests from as many clients as keep the rate even when an answer takes `ms`. */
function clients(kind: string, perSecond: number, ms: number, one: (c: Connection) => Promise<void>): Promise<void>[] {
  if (perSecond <= 0) return [];
  const n = Math.max(1, Math.ceil((perSecond * ms) / 1000));
  const pause = (n * 1000) / perSecond;
  count(kind);
  return Array.from({ length: n }, async (_, i) => {
    const c = new Connection();
    let next = Date.now() + (pause * i) / n;
    while (!ending) {
      if (next > Date.now()) await rest(next - Date.now());
      if (ending) break;
      next = Math.max(next + pause, Date.now() - 1000);
      await one(c);
    }
    c.close();
  });
}

async function chunked(s: Socket): Promise<void> {
  s.write(text('POST', '/upload', options.host, 'Transfer-Encoding: chunked\r\n'));
  const pieces = 10 + Math.floor(Math.random() * 20);
  for (let i = 0; i < pieces; i++) {
    s.write(`400\r\n${'u'.repeat(1024)}\r\n`);
    await rest(100);
  }
  s.write('0\r\n\r\n');
}

/** Server-sent events: each stream must go on for its time. Ids must rise by one. */
async function eventStream(kind: string, host: string, seconds: number): Promise<void> {
  while (!ending) {
    const c = new Connection();
    count(kind).sent++;
    try {
      await c.open();
      c.socket!.write(text('GET', '/events', host));
      await c.until((d) => d.includes('\r\n\r\n'));
      if (!c.received.startsWith('HTTP/1.1 200')) throw new Error(c.received.slice(0, 40));
      answered(kind, versionOf(c.received));
      const end = Date.now() + seconds * 1000;
      for (let i = 0; !ending && Date.now() < end; i++) await c.until((d) => d.includes(`id: ${i}\n`), 10_000);
    } catch (error) {
      failed(kind, (error as Error).message);
    }
    c.close();
  }
}

function frame(payload: string): Buffer {
  const mask = randomBytes(4);
  const body = Buffer.from(payload);
  for (let i = 0; i < body.length; i++) body[i]! ^= mask[i % 4]!;
  return Buffer.concat([Buffer.from([0x81, 0x80 | body.length]), mask, body]);
}

async function webSocket(kind: string, host: string, seconds: number): Promise<void> {
  const upgrade = `Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n`;
  while (!ending) {
    const c = new Connection();
    count(kind).sent++;
    try {
      await c.open();
      c.socket!.write(text('GET', '/socket', host, upgrade));
      await c.until((d) => d.includes('\r\n\r\n'));
      if (!c.received.startsWith('HTTP/1.1 101')) throw new Error(c.received.slice(0, 40));
      const end = Date.now() + seconds * 1000;
      for (let i = 0; !ending && Date.now() < end; i++) {
        c.socket!.write(frame(`m${i}.`));
        await c.until((d) => d.includes(`m${i}.`), 10_000);
        await rest(500);
      }
    } catch (error) {
      failed(kind, (error as Error).message);
    }
    c.close();
  }
}

const { host, bystander } = options;
const all: Promise<void>[] = [
  ...clients('keep-alive GET', options.keepAliveGet, 100, (c) => exchange('keep-alive GET', c, text('GET', '/version', host))),
  ...clients('keep-alive POST', options.keepAlivePost, 100, (c) => exchange('keep-alive POST', c, text('POST', '/version', host, '', 'x'.repeat(200)))),
  ...clients('new GET', options.newGet, 200, async (c) => { await exchange('new GET', c, text('GET', '/version', host)); c.close(); }),
  ...clients('slow response', options.trickle, 2500, (c) => exchange('slow response', c, text('GET', '/trickle?ms=2000', host))),
  ...clients('upload', options.upload, 3500, (c) => exchange('upload', c, chunked)),
  ...Array.from({ length: options.eventStreams }, () => eventStream('event stream', host, options.streamSeconds)),
  ...Array.from({ length: options.sockets }, () => webSocket('WebSocket', host, options.streamSeconds)),
];
if (bystander !== undefined) {
  all.push(...clients('bystander GET', 50, 100, (c) => exchange('bystander GET', c, text('GET', '/version', bystander))));
  all.push(...Array.from({ length: 10 }, () => eventStream('bystander event stream', bystander, 3600)));
  all.push(...Array.from({ length: 10 }, () => webSocket('bystander WebSocket', bystander, 3600)));
}
process.once('SIGTERM', () => { ending = true; });
// So that an end of the parent is the end of this one.
process.stdin.on('end', () => process.exit(1)).resume();
process.stdout.write('ready\n');
await Promise.all(all);
process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0));
