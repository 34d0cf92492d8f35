// A socket in front of an engine's, or a port in front of another server's, that answers nothing or something else when told to.
import { rmSync } from 'node:fs';
import { createServer, request, type IncomingMessage, type RequestOptions, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What is done with a request in place of passing it on: `mute` takes it and says nothing. */
export type Verdict = 'pass' | 'mute' | { status: number; body: string };

export class Front {
  #server: Server;
  #to: RequestOptions;
  #held: ServerResponse[] = [];
  #socket: string | undefined;
  /** Asked about each request, with its whole body. */
  judge: (method: string, path: string, body: string) => Verdict = () => 'pass';
  /** The requests that were not passed on. */
  readonly kept: string[] = [];

  private constructor(to: RequestOptions) {
    this.#to = to;
    this.#server = createServer((from, answer) => void this.#take(from, answer));
  }

  static async start(to: RequestOptions, socket?: string): Promise<Front> {
    const front = new Front(to);
    front.#socket = socket;
    await new Promise<void>((done, refuse) => {
      front.#server.once('error', refuse);
      if (socket === undefined) front.#server.listen(0, '127.0.0.1', done);
      else front.#server.listen(socket, done);
    });
    return front;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async #take(from: IncomingMessage, answer: ServerResponse): Promise<void> {
    const pieces: Buffer[] = [];
    try {
      for await (const piece of from) pieces.push(piece as Buffer);
    } catch {
      return; // who asked is gone
    }
    const body = Buffer.concat(pieces);
    const verdict = this.judge(from.method!, from.url!, body.toString('utf8'));
    if (verdict !== 'pass') this.kept.push(`${from.method} ${from.url}`);
    if (verdict === 'mute') this.#held.push(answer);
    else if (verdict === 'pass') this.#pass(from, body, answer);
    else answer.writeHead(verdict.status, { 'content-type': 'application/json' }).end(verdict.body);
  }

  #pass(from: IncomingMessage, body: Buffer, answer: ServerResponse): void {
    const to = request({ ...this.#to, method: from.method, path: from.url, headers: { ...from.headers, ...(this.#to.headers as object | undefined) } }, (reply) => {
      answer.writeHead(reply.statusCode!, reply.headers);
      answer.flushHeaders(); // a stream's first line may be long in coming
      reply.pipe(answer);
      reply.on('error', () => answer.destroy());
    });
    to.on('error', () => answer.destroy());
    answer.on('close', () => to.destroy());
    to.end(body);
  }

  /** Passes everything from now on; who was told nothing is hung up on. */
  relent(): void {
    this.judge = () => 'pass';
    for (const answer of this.#held.splice(0)) answer.destroy();
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
    if (this.#socket !== undefined) rmSync(this.#socket, { force: true });
  }
}
