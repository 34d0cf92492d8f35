// wrk measures a server from outside; its own summary is read back into numbers.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { part } from './part.ts';

const installed = part('wrk');
export const noWrk = installed.skip;

export interface WrkOptions {
  url: string;
  seconds?: number;
  connections?: number;
  threads?: number;
  headers?: Record<string, string>;
  /** Asked in turn, in place of the URL's own path. */
  paths?: string[];
}

export interface WrkResult {
  requestsPerSecond: number;
  requests: number;
  /** Milliseconds. */
  p50: number;
  p99: number;
  /** Socket errors and replies other than 2xx and 3xx. */
  errors: number;
}

/** A path has no character that JSON and Lua would quote differently. */
const inTurn = (paths: string[]): string => `
local paths = { ${paths.map((path) => JSON.stringify(path)).join(', ')} }
local n = 0
request = function()
  n = n % #paths + 1
  return wrk.format(nil, paths[n])
end
`;

const report = `
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format("RESULT {\\"requests\\":%d,\\"duration\\":%d,\\"p50\\":%d,\\"p99\\":%d,\\"errors\\":%d}\\n",
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
`;

export function wrk({ url, seconds = 5, connections = 32, threads = 1, headers = {}, paths = [] }: WrkOptions): WrkResult {
  const dir = mkdtempSync(join(tmpdir(), 'hbcloud-wrk-'));
  try {
    const script = join(dir, 'report.lua');
    writeFileSync(script, paths.length > 0 ? inTurn(paths) + report : report);
    const sent = Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
    const args = ['-t', String(threads), '-c', String(connections), '-d', `${seconds}s`, '-s', script, ...sent, url];
    const run = spawnSync(join(installed.dir, 'bin/wrk'), args, { encoding: 'utf8' });
    const found = /^RESULT (.*)$/m.exec(run.stdout ?? '');
    if (!found) throw new Error(`wrk: ${run.stderr || run.stdout || String(run.error)}`);
    const { requests, duration, p50, p99, errors } = JSON.parse(found[1]!);
    return { requestsPerSecond: (requests * 1e6) / duration, requests, p50: p50 / 1000, p99: p99 / 1000, errors };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
