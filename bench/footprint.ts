// What a hub costs that has nothing to do, and how long it takes to be there.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { binary, cleanEnv, Hub } from '../tests/support/hub.ts';
import { Process } from '../tests/support/process.ts';
import { freePort } from '../tests/support/wait.ts';
import { cpuSeconds, isReady, median, memory } from './measure.ts';
import type { Row } from './table.ts';

const plain = { HBCLOUD_VALIDATE_REPLIES: '0' };

/** Milliseconds from the call of exec to the first 200 of /readyz. */
async function startOnce(dataDir: string): Promise<number> {
  const port = await freePort();
  const env = cleanEnv(dataDir, { ...plain, DOCKER_HOST: `unix://${dataDir}/no-engine.sock` });
  const began = performance.now();
  const hub = Process.start(binary, ['serve', '--data', dataDir, '--listen', `127.0.0.1:${port}`], { env, cwd: tmpdir() });
  while (!(await isReady(port))) {
    if (hub.ended !== undefined || performance.now() - began > 20_000) throw new Error(`the hub did not start: ${hub.output}`);
    await sleep(1);
  }
  const took = performance.now() - began;
  await hub.stop();
  return took;
}

export async function measureStart(quick: boolean): Promise<Row[]> {
  const fresh: number[] = [];
  const again: number[] = [];
  for (let round = 0; round < (quick ? 4 : 10); round++) {
    const dir = mkdtempSync(join(tmpdir(), 'hbcloud-start-'));
    try {
      fresh.push(await startOnce(join(dir, 'data')));
      again.push(await startOnce(join(dir, 'data')));
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  }
  const row = (measure: string, times: number[]): Row => ({ case: 'start', measure, value: median(times), unit: 'ms', goal: { atMost: 150 }, note: `median of ${times.length}` });
  return [row('start to ready, existing data', again), row('start to ready, first start', fresh)];
}

export async function measureIdle(quick: boolean): Promise<Row[]> {
  const hub = await Hub.start({ env: plain });
  try {
    const seconds = quick ? 20 : 60;
    await sleep(30_000);
    const { rss, pss } = memory(hub.pid);
    const before = cpuSeconds(hub.pid);
    await sleep(seconds * 1000);
    const used = cpuSeconds(hub.pid) - before;
    return [
      { case: 'idle', measure: 'idle memory, RSS', value: rss, unit: 'MB', goal: { atMost: 20 }, note: 'after 30 s, metrics each 10 s' },
      { case: 'idle', measure: '— PSS', value: pss, unit: 'MB' },
      { case: 'idle', measure: 'idle CPU', value: (used / seconds) * 100, unit: '% of a core', note: `over ${seconds} s, metrics each 10 s` },
    ];
  } finally {
    await hub.discard();
  }
}
