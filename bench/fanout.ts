// Ten thousand subscribers of events: from a change to the last byte at each of them.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Process } from '../tests/support/process.ts';
import { hubWith } from './data.ts';
import { compilePeer } from './list.ts';
import { cpuSeconds, memory } from './measure.ts';
import type { Row } from './table.ts';
import { waitFor } from '../tests/support/wait.ts';

const SUBSCRIBERS = 10_000;

export async function measureFanout(quick: boolean): Promise<Row[]> {
  const dir = mkdtempSync(join(tmpdir(), 'hbcloud-fanout-'));
  const hub = await hubWith(2, 0, { env: { HBCLOUD_HTTP_CONNECTIONS: String(SUBSCRIBERS + 100) } });
  try {
    const idle = memory(hub.pid).rss;
    const rounds = quick ? 10 : 30;
    const args = [String(hub.port), String(SUBSCRIBERS), String(rounds), 'node-000000'];
    const client = Process.start(compilePeer('sse_client', dir), args, { env: { ...process.env, HBCLOUD_API_KEY: hub.key! } });
    await waitFor(() => client.ended !== undefined || client.stdout.includes('ready\n'), { timeout: 60_000, what: 'the streams' });
    const each = ((memory(hub.pid).rss - idle) * 1e6) / 1024 / SUBSCRIBERS;
    const before = cpuSeconds(hub.pid);
    const exit = await client.wait(120_000);
    const cpu = ((cpuSeconds(hub.pid) - before) / (rounds * SUBSCRIBERS)) * 1e6;
    if (exit.code !== 0) throw new Error(`sse_client: ${client.output.slice(-2000)}`);
    const found = JSON.parse(client.stdout.trim().split('\n').at(-1)!);
    return [
      { case: 'fanout', measure: 'event to 10,000 subscribers, p99', value: found.p99, unit: 'ms', goal: { atMost: 150 }, note: `${rounds} events, from the change's request, p50 ${found.p50} ms` },
      { case: 'fanout', measure: '— from the event’s own time, p99', value: found.atP99, unit: 'ms', note: `p50 ${found.atP50} ms` },
      { case: 'fanout', measure: '— CPU a frame', value: cpu, unit: 'µs' },
      { case: 'fanout', measure: '— memory a subscriber', value: each, unit: 'KiB' },
    ];
  } finally {
    await hub.discard();
    rmSync(dir, { recursive: true, force: true });
  }
}
