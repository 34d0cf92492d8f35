// Metrics of the real machine and of real containers: they move, they are true, and a counter that falls is a reset.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { after, before, describe, test } from 'node:test';
import type { components } from '../support/api.d.ts';
import { Hub } from '../support/hub.ts';
import { importChanges, shellImage } from '../support/images.ts';
import { dockerOld, type Engine } from '../support/parts/docker.ts';
import { serviceThat } from '../support/rig.ts';
import { waitFor } from '../support/wait.ts';

type Fn = components['schemas']['QueryFunction'];

describe('metrics', { skip: dockerOld.skip }, () => {
  let hub: Hub, engine: Engine;
  before(async () => {
    engine = await dockerOld.start();
    const busy = shellImage('while :; do dd if=/dev/zero of=/tmp/x bs=1M count=8 2>/dev/null; done');
    await engine.importImage('busy:1', busy.rootfs, importChanges(busy));
    hub = await Hub.start({ dockerHost: engine.host, env: { HBCLOUD_METRICS_INTERVAL: '1s' } });
  });
  after(async () => {
    await hub?.stop();
    await hub?.discard();
    await engine?.stop();
  });

  async function query(name: string, fn: Fn, entity_id?: string, step = '1s'): Promise<number[]> {
    const { series } = await hub.ok('GET', '/monitoring/query', { query: { name, fn, step, entity_id, from: String(Date.now() - 120_000), to: String(Date.now() + 1000) } });
    return series.flatMap((s) => s.points.flatMap(([, value]) => (value === null ? [] : [value as number])));
  }
  const latest = async (name: string) => (await hub.ok('GET', '/monitoring/metrics', { query: { name, limit: 1000 } })).metrics;

  test('the host is sampled: what /proc says is what the API says', async () => {
    await waitFor(async () => (await query('cpu.usage.percent', 'last')).length >= 3);
    const memory = (key: string) => Number(new RegExp(`${key}:\\s+(\\d+)`).exec(readFileSync('/proc/meminfo', 'utf8'))![1]) * 1024;
    assert.equal((await latest('memory.total.bytes'))[0]!.metric.value, memory('MemTotal'));
    const available = (await latest('memory.available.bytes'))[0]!.metric.value;
    assert.ok(Math.abs(available - memory('MemAvailable')) < memory('MemTotal') * 0.2, 'memory is what it is');
    const states = await latest('cpu.state.percent');
    const sum = states.reduce((total, m) => total + m.metric.value, 0);
    assert.ok(Math.abs(sum - 100) < 2, `the states of the processor add up to 100, not ${sum}`);
    for (const wanted of ['load.1', 'memory.used.percent', 'filesystem.used.percent', 'filesystem.inodes.used.percent', 'network.receive.bytes', 'descriptors.used', 'uptime.seconds']) {
      assert.ok((await latest(wanted)).length > 0, wanted);
    }
    const { nodes } = await hub.ok('GET', '/infrastructure/nodes', { query: { type: 'hub' } });
    assert.equal(nodes[0]!.resources.cpu, cpus().length);
  });

  test('a busy container is seen busy, and each function says what it should of the same samples', async () => {
    await engine.run('busy:1', { HostConfig: { Memory: 64 << 20 } }, 'burner');
    const { id } = await serviceThat(hub, 'burner', (s) => s.status.deployment === 'running');
    await waitFor(async () => (await query('container.cpu.percent', 'last', id)).length >= 8, { timeout: 40_000 });
    assert.ok(Math.max(...(await query('container.cpu.percent', 'last', id))) > 10, 'it burns');
    assert.equal((await query('container.memory.limit.bytes', 'last', id)).at(-1), 64 << 20);
    const used = (await query('container.memory.used.bytes', 'last', id)).at(-1)!;
    assert.ok(used >= 0 && used <= 64 << 20, `O03: ${used}`);
    const range = { from: String(Date.now() - 60_000), to: String(Date.now() - 1000), step: '2s', entity_id: id, name: 'container.cpu.percent' };
    const fns: Fn[] = ['count', 'sum', 'avg', 'min', 'max', 'p95', 'last'];
    const columns = await Promise.all(fns.map(async (fn) => (await hub.ok('GET', '/monitoring/query', { query: { ...range, fn } })).series[0]!.points.slice(0, -1)));
    const rows = columns[0]!.map((_, i) => columns.map((points) => points[i]![1] as number)).filter(([count]) => count);
    assert.ok(rows.length >= 1);
    for (const [count, sum, avg, min, max, p95, last] of rows as [number, number, number, number, number, number, number][]) {
      assert.ok(Math.abs(avg - sum / count) < 1e-6 && min <= avg && avg <= max && p95 <= max && p95 >= min && last <= max && last >= min, JSON.stringify(rows));
    }
  });

  test('O42 a busy container that restarts again and again shows no negative and no absurd rate', async () => {
    const { id, container } = await serviceThat(hub, 'burner', (s) => s.container.state === 'running');
    for (let round = 0; round < 4; round++) {
      const before = (await query('container.cpu.seconds', 'last', id)).length;
      await engine.call('POST', `/containers/${container.id}/restart?t=0`);
      await waitFor(async () => (await query('container.cpu.seconds', 'last', id)).length >= before + 2, { timeout: 20_000 });
    }
    const seconds = await query('container.cpu.seconds', 'last', id);
    assert.ok(seconds.some((value, i) => i > 0 && value < seconds[i - 1]!), 'the counter fell, as this test wants');
    const rates: [string, number][] = [['container.cpu.seconds', cpus().length * 1.5], ['container.network.receive.bytes', 1e9], ['container.io.write.bytes', 2e10]];
    for (const [name, bound] of rates) {
      for (const step of ['2s', '10s']) for (const value of await query(name, 'rate', id, step)) assert.ok(value >= 0 && value <= bound, `${name} ${step}: ${value}`);
    }
    for (const value of await query('container.cpu.percent', 'max', id)) assert.ok(value >= 0 && value <= cpus().length * 150, `cpu: ${value}`);
    assert.ok((await query('container.restarts', 'last', id)).every((value) => value >= 0));
  });

  test('a query that asks for too much is refused', async () => {
    await hub.refused(400, 'GET', '/monitoring/query', { query: { name: 'load.1', step: '1s', from: '2026-01-01T00:00:00Z', to: '2026-11-25T00:00:00Z' } });
    await hub.refused(400, 'GET', '/monitoring/query', { query: { name: 'load.1', from: '2026-11-25T00:00:00Z', to: '2026-01-01T00:00:00Z' } });
    assert.deepEqual((await hub.ok('GET', '/monitoring/query', { query: { name: 'no.such.metric' } })).series, []);
  });
});
