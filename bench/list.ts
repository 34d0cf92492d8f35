// The node list with 100 nodes: the hub against nginx and libmicrohttpd with the same bytes, and against Fastify on PostgreSQL.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Hub } from '../tests/support/hub.ts';
import { Nginx } from '../tests/support/parts/nginx.ts';
import { Postgres } from '../tests/support/parts/postgres.ts';
import { wrk, type WrkResult } from '../tests/support/parts/wrk.ts';
import { Process } from '../tests/support/process.ts';
import { freePort, waitFor } from '../tests/support/wait.ts';
import { hubWith } from './data.ts';
import { cpuSeconds, median } from './measure.ts';
import type { Row } from './table.ts';

const PATH = '/v1/infrastructure/nodes';
const peers = fileURLToPath(new URL('peers', import.meta.url));

interface Server {
  name: string;
  url: string;
  /** Whose CPU time counts as the server's. */
  pids: number[];
}

/** Compiles a peer written in C into `dir`. */
export function compilePeer(name: string, dir: string, libraries: string[] = []): string {
  const program = join(dir, name);
  const run = spawnSync('cc', ['-std=gnu17', '-O2', '-D_GNU_SOURCE', '-o', program, join(peers, `${name}.c`), ...libraries], { encoding: 'utf8' });
  if (run.status !== 0) throw new Error(`compiling ${name}.c: ${run.stderr || String(run.error)}`);
  return program;
}

async function started(process: Process, url: string): Promise<void> {
  const answers = async (): Promise<boolean> => {
    if (process.ended !== undefined) return true;
    return (await fetch(url, { signal: AbortSignal.timeout(2000) })).status === 200;
  };
  await waitFor(answers, { timeout: 20_000, what: `an answer of ${url}` });
  if (process.ended !== undefined) throw new Error(`${process.command} ended: ${process.output}`);
}

/** The schema of the list's reply with every reference resolved, as Fastify's serializer wants it. */
async function replySchema(hub: Hub): Promise<unknown> {
  const { body: document } = await hub.raw('GET', '/v1/openapi.json');
  const resolve = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(resolve);
    if (value === null || typeof value !== 'object') return value;
    const reference = (value as { $ref?: string }).$ref;
    if (reference) return resolve(reference.slice(2).split('/').reduce((at, key) => at[key], document));
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, resolve(inner)]));
  };
  return resolve(document.components.schemas.NodeList);
}

const running: (() => Promise<unknown>)[] = [];

async function startNginx(body: Buffer): Promise<Server> {
  // As Debian ships it, and the file's descriptor kept open, which helps it.
  const http = 'sendfile on; tcp_nopush on; types { } default_type application/json; keepalive_requests 1000000; open_file_cache max=100 inactive=60s;';
  const nginx = await Nginx.start({ server: '', http, files: { [PATH.slice(1)]: body } });
  running.unshift(() => nginx.stop());
  return { name: 'nginx', url: nginx.url, pids: [nginx.pid] };
}

async function startMhd(dir: string, body: Buffer): Promise<Server> {
  const port = await freePort();
  writeFileSync(join(dir, 'nodes.json'), body);
  const mhd = Process.start(compilePeer('mhd', dir, ['-lmicrohttpd']), [String(port), join(dir, 'nodes.json')]);
  running.unshift(() => mhd.stop());
  await started(mhd, `http://127.0.0.1:${port}`);
  return { name: 'libmicrohttpd', url: `http://127.0.0.1:${port}`, pids: [mhd.pid] };
}

async function startFastify(dir: string, hub: Hub, list: { nodes: unknown[] }): Promise<Server> {
  const postgres = await Postgres.start({ shared_buffers: '128MB' });
  running.unshift(() => postgres.stop());
  const port = await freePort();
  const setup = join(dir, 'setup.json');
  writeFileSync(setup, JSON.stringify({ schema: await replySchema(hub), nodes: list.nodes }));
  const args = [join(peers, 'fastify.js'), String(port), postgres.host, postgres.user, postgres.database, setup];
  const app = Process.start(process.execPath, args, { env: { ...process.env, NODE_ENV: 'production' } });
  running.unshift(() => app.stop());
  await started(app, `http://127.0.0.1:${port}${PATH}`);
  return { name: 'Fastify + PostgreSQL', url: `http://127.0.0.1:${port}`, pids: [app.pid, postgres.pid] };
}

/** All must say the same: the peers' bytes are the hub's, Fastify's are the same document. */
async function checkSame(body: Buffer, servers: Server[]): Promise<void> {
  const sorted = (value: unknown): unknown =>
    Array.isArray(value) || value === null || typeof value !== 'object'
      ? Array.isArray(value) ? value.map(sorted) : value
      : Object.fromEntries(Object.entries(value).sort().map(([key, inner]) => [key, sorted(inner)]));
  const same = (text: string): string => JSON.stringify(sorted(JSON.parse(text)));
  for (const server of servers) {
    const reply = await fetch(server.url + PATH);
    if (same(await reply.text()) !== same(body.toString())) throw new Error(`${server.name} does not serve the same document`);
  }
}

interface Taken extends WrkResult {
  /** Microseconds of CPU time a request. */
  cpu: number;
}

function take(server: Server, key: string, seconds: number): Taken {
  const cpu = (): number => server.pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
  const before = cpu();
  const result = wrk({ url: server.url + PATH, connections: 64, threads: 1, seconds, headers: { 'X-API-Key': key } });
  if (result.errors > 0) throw new Error(`${server.name} refused ${result.errors} requests`);
  return { ...result, cpu: ((cpu() - before) / result.requests) * 1e6 };
}

/** Rounds in which each server is measured once, so that what else the machine does meets all of them. */
function compare(servers: Server[], key: string, rounds: number, seconds: number): Map<string, Record<'rate' | 'p50' | 'p99' | 'cpu', number>> {
  const taken = new Map(servers.map(({ name }) => [name, [] as Taken[]]));
  for (const server of servers) take(server, key, 1); // warm
  for (let round = 0; round < rounds; round++) for (const server of servers) taken.get(server.name)!.push(take(server, key, seconds));
  const of = (results: Taken[], figure: (x: Taken) => number): number => median(results.map(figure));
  return new Map(
    [...taken].map(([name, results]) => [
      name,
      { rate: of(results, (x) => x.requestsPerSecond), p50: of(results, (x) => x.p50), p99: of(results, (x) => x.p99), cpu: of(results, (x) => x.cpu) },
    ]),
  );
}

export async function measureList(quick: boolean): Promise<Row[]> {
  const dir = mkdtempSync(join(tmpdir(), 'hbcloud-bench-'));
  running.unshift(async () => rmSync(dir, { recursive: true, force: true }));
  try {
    const hub = await hubWith(100, 0);
    running.unshift(() => hub.discard());
    const key = hub.key!;
    const body = Buffer.from(await (await fetch(hub.url + PATH, { headers: { 'X-API-Key': key } })).arrayBuffer());
    const list = JSON.parse(body.toString());
    if (list.nodes.length !== 100) throw new Error(`the list has ${list.nodes.length} nodes`);
    const others = [await startNginx(body), await startMhd(dir, body), await startFastify(dir, hub, list)];
    await checkSame(body, others);
    const all = compare([{ name: 'hbcloud', url: hub.url, pids: [hub.pid] }, ...others], key, quick ? 2 : 5, quick ? 2 : 3);
    const own = all.get('hbcloud')!;
    const row = (measure: string, figure: keyof typeof own, unit: string, name: string, goal?: Row['goal']): Row => ({
      case: 'list', measure, value: own[figure], unit, peer: { name, value: all.get(name)![figure] }, ...(goal && { goal: { ...goal, ratio: true } }),
    });
    return [
      { ...row('node list, 100 nodes', 'rate', 'req/s', 'nginx', { atLeast: 0.8 }), note: `${Math.round(body.length / 1024)} KiB` },
      row('— p99', 'p99', 'ms', 'nginx', { atMost: 2 }),
      row('— CPU a request', 'cpu', 'µs', 'nginx'),
      row('node list, 100 nodes', 'rate', 'req/s', 'Fastify + PostgreSQL', { atLeast: 10 }),
      row('— p99', 'p99', 'ms', 'Fastify + PostgreSQL'),
      row('— CPU a request', 'cpu', 'µs', 'Fastify + PostgreSQL'),
      row('node list, 100 nodes', 'rate', 'req/s', 'libmicrohttpd'),
      row('— p99', 'p99', 'ms', 'libmicrohttpd'),
      row('— CPU a request', 'cpu', 'µs', 'libmicrohttpd'),
    ];
  } finally {
    for (const end of running.splice(0)) await end();
  }
}
