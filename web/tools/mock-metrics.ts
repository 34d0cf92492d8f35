/* Series that look like a machine at work: the same at each look, since they are made from the time. */

const wave = (ms: number, period: number, seed: number) => Math.sin((ms / period) * 2 * Math.PI + seed);
const noise = (ms: number, seed: number) => {
  const x = Math.sin(Math.floor(ms / 10_000) * 12.9898 + seed * 78.233) * 43758.5453;
  return x - Math.floor(x);
};
const busy = (low: number, high: number, seed: number) => (ms: number) =>
  low + (high - low) * Math.max(0, 0.4 + 0.25 * wave(ms, 3_600_000, seed) + 0.15 * wave(ms, 420_000, seed * 2) + 0.3 * (noise(ms, seed) - 0.4));

const GB = 1e9;
type Made = { tags: Record<string, string>; value: (ms: number) => number };

const TABLE: Record<string, { unit: string; series: (seed: number) => Made[] }> = {
  'cpu.usage.percent': { unit: 'percent', series: (s) => [{ tags: {}, value: busy(2, 70, s) }] },
  'memory.used.percent': { unit: 'percent', series: (s) => [{ tags: {}, value: busy(35, 62, s) }] },
  'memory.used.bytes': { unit: 'bytes', series: (s) => [{ tags: {}, value: busy(9 * GB, 21 * GB, s) }] },
  'memory.total.bytes': { unit: 'bytes', series: () => [{ tags: {}, value: () => 33.5 * GB }] },
  'load.1': { unit: 'number', series: (s) => [{ tags: {}, value: busy(0.1, 4, s) }] },
  'load.5': { unit: 'number', series: (s) => [{ tags: {}, value: busy(0.3, 3, s) }] },
  'load.15': { unit: 'number', series: (s) => [{ tags: {}, value: busy(0.6, 2.4, s) }] },
  'cpu.state.percent': { unit: 'percent', series: (s) => ['user', 'system', 'iowait', 'steal', 'nice', 'irq', 'softirq'].map((state, i) => ({ tags: { state }, value: busy(0, 40 / (i + 1), s + i) })) },
  'filesystem.used.percent': { unit: 'percent', series: (s) => ['/', '/srv', '/boot'].map((mount, i) => ({ tags: { mount }, value: busy(30 + 20 * i, 34 + 20 * i, s + i) })) },
  'network.receive.bytes': { unit: 'bytes/s', series: (s) => ['eth0', 'docker0'].map((name, i) => ({ tags: { interface: name }, value: busy(2e4, 4e6 / (i + 1), s + i) })) },
  'network.transmit.bytes': { unit: 'bytes/s', series: (s) => ['eth0', 'docker0'].map((name, i) => ({ tags: { interface: name }, value: busy(1e4, 2e6 / (i + 1), s + 5 + i) })) },
  'disk.read.bytes': { unit: 'bytes/s', series: (s) => [{ tags: { device: 'nvme0n1' }, value: busy(0, 9e6, s) }] },
  'disk.write.bytes': { unit: 'bytes/s', series: (s) => [{ tags: { device: 'nvme0n1' }, value: busy(1e5, 2e7, s + 3) }] },
  'pressure.cpu.some.percent': { unit: 'percent', series: (s) => [{ tags: {}, value: busy(0, 8, s) }] },
  'pressure.memory.some.percent': { unit: 'percent', series: (s) => [{ tags: {}, value: busy(0, 1, s) }] },
  'pressure.io.some.percent': { unit: 'percent', series: (s) => [{ tags: {}, value: busy(0, 12, s) }] },
  'temperature.celsius': { unit: 'celsius', series: (s) => ['cpu', 'nvme'].map((sensor, i) => ({ tags: { sensor }, value: busy(38, 66, s + i) })) },
  'container.cpu.percent': { unit: 'percent', series: (s) => [{ tags: {}, value: busy(0.2, 22, s) }] },
  'container.memory.used.bytes': { unit: 'bytes', series: (s) => [{ tags: {}, value: busy(4e7, 1.8e8, s) }] },
  'container.memory.limit.bytes': { unit: 'bytes', series: () => [{ tags: {}, value: () => 268435456 }] },
  'container.network.receive.bytes': { unit: 'bytes/s', series: (s) => [{ tags: {}, value: busy(1e3, 9e5, s) }] },
  'container.network.transmit.bytes': { unit: 'bytes/s', series: (s) => [{ tags: {}, value: busy(1e3, 3e6, s) }] },
  'container.io.read.bytes': { unit: 'bytes/s', series: (s) => [{ tags: {}, value: busy(0, 1e5, s) }] },
  'container.io.write.bytes': { unit: 'bytes/s', series: (s) => [{ tags: {}, value: busy(0, 9e5, s) }] },
};

const seedOf = (id: string) => [...id].reduce((sum, c) => (sum * 31 + c.charCodeAt(0)) % 997, 7);
const SECONDS = { s: 1, m: 60, h: 3600, d: 86400 };

export function query(name: string, entity: string, from: number, to: number, step: string) {
  const made = TABLE[name];
  const m = /^(\d+)([smhd])?$/.exec(step);
  const ms = Number(m?.[1] ?? 30) * SECONDS[(m?.[2] ?? 's') as keyof typeof SECONDS] * 1000;
  const times: number[] = [];
  for (let t = Math.ceil(from / ms) * ms; t <= to; t += ms) times.push(t);
  const series = (made?.series(seedOf(entity)) ?? []).map(({ tags, value }) => ({
    entity_id: entity, entity_type: 'node', tags, points: times.map((t) => [t, Math.round(value(t) * 100) / 100]),
  }));
  return { name, fn: 'avg', step: ms / 1000, from, to, unit: made?.unit ?? null, series };
}

export function now(names: string[], entity: string): Record<string, number> {
  const t = Date.now();
  return Object.fromEntries(names.flatMap((n) => {
    const [first] = TABLE[n]?.series(seedOf(entity)) ?? [];
    return first ? [[n, Math.round(first.value(t) * 100) / 100]] : [];
  }));
}
