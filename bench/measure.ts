// What is measured of a process from outside (procfs), and the few statistics that the tables use.
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';

const TICKS = 100; // of utime and stime a second: USER_HZ, the same on every Linux that we build for

function statFields(pid: number): string[] {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

function children(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return text === '' ? [] : text.split(' ').map(Number);
}

/** CPU seconds (user and system) of a process and its children, so far. */
export function cpuSeconds(pid: number): number {
  const fields = statFields(pid);
  const own = (Number(fields[11]) + Number(fields[12])) / TICKS;
  return children(pid).reduce((sum, child) => sum + cpuSeconds(child), own);
}

export interface Memory {
  /** MB (10^6 bytes). */
  rss: number;
  pss: number;
}

export function memory(pid: number): Memory {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const of = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)![1]) * 1.024e-3;
  return { rss: of('Rss'), pss: of('Pss') };
}

export function quantile(values: number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]!;
}

export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** One look whether the hub on this port is ready, over a connection of its own: a client library would cost more than the answer. */
export function isReady(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect({ host: '127.0.0.1', port, noDelay: true }, () => socket.write('GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n'));
    const end = (): void => {
      socket.destroy();
      resolve(text.startsWith('HTTP/1.1 200'));
    };
    socket.setTimeout(2000, end);
    socket.on('data', (bytes) => (text += bytes.toString('latin1'))).on('error', end).on('close', end);
  });
}
