// What deploying costs beyond the engine's own work, and how a hundred at once compare with `docker run` in a loop.
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { createServer, request, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Hub } from '../tests/support/hub.ts';
import { demoImage, importChanges } from '../tests/support/images.ts';
import { dockerOld, type Engine } from '../tests/support/parts/docker.ts';
import { ended, type Deployment } from '../tests/support/rig.ts';
import { waitFor } from '../tests/support/wait.ts';
import { median } from './measure.ts';
import type { Row } from './table.ts';

export const IMAGE = 'bench-demo:1';
const plain = { HBCLOUD_VALIDATE_REPLIES: '0', HBCLOUD_RATE_KNOWN: '0' };

/** A socket in front of the engine's that notes from when to when a call was under way; the stream of events is none. */
class Watch {
  readonly socket = join(tmpdir(), `hbcloud-bench-${process.pid}.sock`);
  readonly calls: [from: number, to: number][] = [];
  #server: Server;

  constructor(engine: Engine) {
    this.#server = createServer((from, answer) => {
      const began = performance.now();
      const to = request({ socketPath: engine.socket, method: from.method, path: from.url, headers: from.headers }, (reply) => {
        answer.writeHead(reply.statusCode!, reply.headers);
        reply.pipe(answer);
        reply.on('end', () => { if (!/\/events/.test(from.url!)) this.calls.push([began, performance.now()]); });
      });
      to.on('error', () => answer.destroy());
      answer.on('close', () => to.destroy());
      from.pipe(to);
    });
  }

  async start(): Promise<void> {
    await new Promise<void>((done) => this.#server.listen(this.socket, done));
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
    rmSync(this.socket, { force: true });
  }

  /** Milliseconds within the two times in which at least one call was under way. */
  within(from: number, to: number): number {
    let sum = 0;
    let reached = from;
    for (const [a, b] of this.calls.toSorted((x, y) => x[0] - y[0])) {
      const begin = Math.max(a, reached);
      const end = Math.min(b, to);
      if (end > begin) sum += end - begin;
      reached = Math.max(reached, end);
    }
    return sum;
  }
}

export async function importDemo(engine: Engine): Promise<void> {
  const image = demoImage({ version: '1' });
  const [repository, tag] = IMAGE.split(':');
  const changes = importChanges(image).map((change) => `&changes=${encodeURIComponent(change)}`).join('');
  const reply = await engine.request('POST', `/images/create?fromSrc=-&repo=${repository}&tag=${tag}${changes}`, image.rootfs);
  if (reply.status !== 200) throw new Error(`import: ${reply.body.toString()}`);
}

/** Waits for a deployment that must complete. */
export async function completed(hub: Hub, id: string): Promise<Deployment> {
  const end = await ended(hub, id, 120_000, 5);
  if (end.status.state !== 'completed') throw new Error(`${end.status.message}\n${end.status.logs.join('\n')}`);
  return end;
}

const body = (name: string, turn: number) => ({
  name, container: { image: IMAGE, environment: { TURN: String(turn) } }, networking: { internalPort: 8080, healthCheck: { path: '/health' } }, strategy: { drainTimeout: 0, stopGracePeriod: 0 },
});

async function ownTime(engine: Engine, rounds: number): Promise<Row[]> {
  const watch = new Watch(engine);
  await watch.start();
  const hub = await Hub.start({ dockerHost: `unix://${watch.socket}`, env: plain });
  try {
    await waitFor(async () => (await hub.ok('GET', '/system')).system.engine.available, { what: 'the engine in the hub' });
    await completed(hub, (await hub.ok('POST', '/services', { body: body('bench', 0) })).deployment_id);
    const [own, whole]: [number[], number[]] = [[], []];
    for (let i = 1; i <= rounds; i++) {
      const began = performance.now();
      const { deployment_id } = await hub.ok('PATCH', '/services/{serviceId}', { params: { serviceId: 'bench' }, body: { container: { environment: { TURN: String(i) } } } });
      await completed(hub, deployment_id);
      const ended = performance.now();
      whole.push(ended - began);
      own.push(ended - began - watch.within(began, ended));
    }
    const note = `median of ${rounds} updates of ${median(whole).toFixed(0)} ms`;
    return [{ case: 'deploy', measure: 'a deployment beyond the engine\'s calls', value: median(own), unit: 'ms', goal: { atMost: 150 }, note }];
  } finally {
    await hub.discard();
    watch.stop();
  }
}

async function manyAtOnce(engine: Engine, n: number): Promise<Row[]> {
  const loopBegan = performance.now();
  for (let i = 0; i < n; i++) {
    const run = spawnSync(join(dockerOld.proxyDir, '../bin/docker'), ['-H', engine.host, 'run', '-d', '--name', `loop-${i}`, '-p', '127.0.0.1::8080', IMAGE], { encoding: 'utf8' });
    if (run.status !== 0) throw new Error(`docker run: ${run.stderr}`);
  }
  const loop = (performance.now() - loopBegan) / 1000;
  await Promise.all(Array.from({ length: n }, (_, i) => engine.request('DELETE', `/containers/loop-${i}?force=true`)));
  const hub = await Hub.start({ dockerHost: engine.host, env: plain });
  try {
    await waitFor(async () => (await hub.ok('GET', '/system')).system.engine.available, { what: 'the engine in the hub' });
    const began = performance.now();
    const replies = await Promise.all(Array.from({ length: n }, (_, i) => hub.ok('POST', '/services', { body: body(`many-${i}`, 0) })));
    for (const { deployment_id } of replies) await completed(hub, deployment_id);
    const wall = (performance.now() - began) / 1000;
    return [{ case: 'deploy', measure: `${n} services at once, healthy`, value: wall, unit: 's', peer: { name: 'docker run in a loop, started', value: loop }, goal: { atMost: 1.2, ratio: true } }];
  } finally {
    await hub.discard();
  }
}

export async function measureDeploy(quick: boolean): Promise<Row[]> {
  const engine = await dockerOld.start();
  try {
    await importDemo(engine);
    return [...(await ownTime(engine, quick ? 5 : 20)), ...(await manyAtOnce(engine, quick ? 20 : 100))];
  } finally {
    await engine.stop();
  }
}
