// A node that dies while its service is asked all the time through the real Caddy: the service answers again within its
// bound, from one place at a time, and what comes back with the node gets no request.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, describe, test } from 'node:test';
import { Hub } from '../support/hub.ts';
import { demoImage } from '../support/images.ts';
import { NodeSpace } from '../support/netns.ts';
import { Caddy, useCaddy } from '../support/parts/caddy.ts';
import { dockerOld } from '../support/parts/docker.ts';
import { ended } from '../support/rig.ts';
import { waitFor } from '../support/wait.ts';

const lostAfter = 3000, bound = lostAfter + 12_000;
const names = ['attic', 'cellar'];

/** Asks on and on, twenty times a second, whatever comes back; each answer is the node that gave it, or undefined. */
class Asker {
  readonly answers: { at: number; node: string | undefined }[] = [];
  #on = true;
  #done: Promise<unknown>;

  constructor(ask: () => Promise<{ status: number | undefined; body: string }>) {
    const one = async (): Promise<void> => {
      while (this.#on) {
        const reply = await Promise.race([ask().catch(() => undefined), sleep(2000).then(() => undefined)]);
        this.answers.push({ at: Date.now(), node: reply?.status === 200 ? reply.body.trim() : undefined });
        await sleep(200);
      }
    };
    this.#done = Promise.all(Array.from({ length: 4 }, one));
  }

  since(time: number): string[] {
    return this.answers.flatMap(({ at, node }) => (at > time && node !== undefined ? [node] : []));
  }

  async stop(): Promise<void> {
    this.#on = false;
    await this.#done;
  }
}

describe('a node killed under load', { skip: dockerOld.skip || Caddy.skip }, () => {
  const caddy = useCaddy();
  let hub: Hub;
  const spaces: Record<string, NodeSpace> = {};
  const nodeIs = (nodeId: string, status: string) => {
    const look = async () => (await hub.ok('GET', '/infrastructure/nodes/{nodeId}', { params: { nodeId } })).node.status === status;
    return waitFor(look, { timeout: 30_000, what: `${nodeId} ${status}` });
  };

  before(async () => {
    for (const name of names) spaces[name] = await NodeSpace.start(dockerOld);
    hub = await Hub.start({ env: { ...caddy.hubEnv, HBCLOUD_NODES_LOST_AFTER: `${lostAfter}ms` } });
    for (const name of names) {
      const engine = spaces[name]!.config;
      await hub.ok('POST', '/infrastructure/nodes', { body: { name, type: 'spoke', provider: 'local', labels: { cluster: 'home' }, engine } });
      await nodeIs(name, 'active');
    }
  });
  after(async () => {
    await hub?.discard();
    await Promise.all(Object.values(spaces).map((s) => s.stop()));
  });

  test('its service answers again within the bound, once, and the node that returns gets nothing', async (t) => {
    // The same name on both, and each says where it is.
    const [image] = await Promise.all(names.map((name) => spaces[name]!.give(demoImage({ version: name }), 'where:1')));
    const networking = { internalPort: 8080, domains: ['shop.example.org'], healthCheck: { path: '/health', interval: 1, timeout: 1 } };
    const body = { name: 'shop', container: { image: image! }, networking, placement: { labels: { cluster: 'home' } } };
    const end = await ended(hub, (await hub.ok('POST', '/services', { body: body as never })).deployment_id);
    assert.equal(end.status.state, 'completed', JSON.stringify(end.status));
    const asker = new Asker(() => caddy.get('shop.example.org', '/version'));
    t.after(() => asker.stop());
    await waitFor(() => asker.since(0).length > 20, { what: 'the first answers' });
    const from = asker.since(0)[0]!, to = names.find((n) => n !== from)!;

    spaces[from]!.unplug();
    const died = Date.now();
    await waitFor(() => asker.since(died).includes(to), { timeout: bound, what: 'an answer from the other node' });
    t.diagnostic(`it answered again after ${Date.now() - died} ms; a node is lost after ${lostAfter} ms`);
    const moved = Date.now();
    spaces[from]!.replug();
    await nodeIs(from, 'active');
    const left = (await spaces[from]!.engine.containers()).filter((c) => c.Labels['hbcloud.service'] === 'shop');
    assert.equal(left.length, 0, 'what was left there is gone before the node counts');
    await waitFor(() => asker.since(moved).length > 40, { what: 'answers after the return' });
    await asker.stop();
    assert.deepEqual([...new Set(asker.since(moved))], [to], 'one place answers');
    const { deployments } = await hub.ok('GET', '/deployments', { query: { service_id: 'shop' } });
    assert.equal(deployments.filter((d) => d.deployment.initiatedBy === 'hbcloud').length, 1);
    await hub.stop();
  });
});
