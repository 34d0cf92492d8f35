/* Turns the frames of a log reply into lines, and joins what a follow brings to what is shown. Pure. */
import type { ServiceLogs } from '@/api/types';

export interface LogLine {
  stream: 'stdout' | 'stderr';
  time: string; // as the hub wrote it, nanoseconds and all; empty when a line has none
  text: string;
}

const STAMP = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)) ?/;
// Colours and cursor moves that programs write for terminals.
// eslint-disable-next-line no-control-regex
const ESCAPES = /\u001b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\))/g;

const decode = (frame: ServiceLogs['frames'][number]): string => {
  if (frame.data !== undefined) return frame.data;
  const bytes = Uint8Array.from(atob(frame.base64 ?? ''), (c) => c.charCodeAt(0));
  return new TextDecoder().decode(bytes);
};

/* "2026-11-25T12:00:00Z text" -> its time and its text. */
export function stamped(raw: string): { time: string; text: string } {
  const stamp = STAMP.exec(raw);
  return { time: stamp?.[1] ?? '', text: stamp ? raw.slice(stamp[0].length) : raw };
}

export const clock = (iso: string) => iso.slice(11, 23);

function line(stream: LogLine['stream'], raw: string): LogLine {
  const { time, text } = stamped(raw);
  return { stream, time, text: text.replace(ESCAPES, '').replace(/\r$/, '') };
}

export function linesOf(logs: ServiceLogs): LogLine[] {
  const open = { stdout: '', stderr: '' };
  const lines: LogLine[] = [];
  for (const frame of logs.frames) {
    const parts = (open[frame.stream] + decode(frame)).split('\n');
    open[frame.stream] = parts.pop() ?? '';
    for (const raw of parts) lines.push(line(frame.stream, raw));
  }
  for (const stream of ['stdout', 'stderr'] as const) if (open[stream]) lines.push(line(stream, open[stream]));
  return lines;
}

/* A follow asks from the last time on, so its first lines are known already. */
export function join(known: LogLine[], fresh: LogLine[], most: number): LogLine[] {
  const last = known.findLast((l) => l.time)?.time;
  if (!last) return fresh.slice(-most);
  const seen = new Set(known.filter((l) => l.time === last).map((l) => `${l.stream}|${l.text}`));
  const news = fresh.filter((l) => l.time > last || (l.time === last && !seen.has(`${l.stream}|${l.text}`)));
  return news.length === 0 ? known : [...known, ...news].slice(-most);
}
