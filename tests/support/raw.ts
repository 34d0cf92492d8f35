// Bytes on a socket, for what no HTTP client would send.
import { connect, type Socket } from 'node:net';

export interface RawReply {
  /** Everything until the hub closed, or until `quiet` ms without a byte. */
  text: string;
  closed: boolean;
}

/** Connects and stays. */
export function dial(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => resolve(socket));
    socket.once('error', reject);
  });
}

/** Reads until the hub closes, or until nothing came for `quiet` ms. */
export function drain(socket: Socket, quiet = 1000): Promise<RawReply> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const end = (closed: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ text: Buffer.concat(chunks).toString('latin1'), closed });
    };
    let timer = setTimeout(() => end(false), quiet);
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      clearTimeout(timer);
      timer = setTimeout(() => end(false), quiet);
    });
    socket.once('close', () => end(true));
    socket.on('error', () => {});
  });
}

/** Sends bytes as they are and gives what came back. */
export async function exchange(port: number, bytes: string | Buffer, quiet?: number): Promise<RawReply> {
  const socket = await dial(port);
  socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  return drain(socket, quiet);
}

export const statuses = (text: string): number[] => [...text.matchAll(/^HTTP\/1\.[01] (\d{3})/gm)].map((m) => Number(m[1]));
