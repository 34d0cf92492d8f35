// A machine of its own in all that a network shows: a network namespace with a container engine that listens on TCP inside
// it, joined to this machine by a pair of interfaces whose other end can be unplugged.
import { spawnSync } from 'node:child_process';
import { networkInterfaces } from 'node:os';
import type { TestContext } from 'node:test';
import { importChanges, type Image } from './images.ts';
import { Engine, type Flavour } from './parts/docker.ts';

function ip(...args: string[]): void {
  const run = spawnSync('ip', args, { encoding: 'utf8' });
  if (run.status !== 0) throw new Error(`ip ${args.join(' ')}: ${run.stderr || run.error}`);
}

let made = 0;

export class NodeSpace {
  readonly name: string;
  /** Its own address, and this machine's in the same small network. */
  readonly address: string;
  readonly outside: string;
  engine!: Engine;

  private constructor(name: string, third: number) {
    this.name = name;
    this.outside = `10.215.${third}.1`;
    this.address = `10.215.${third}.2`;
  }

  /** Made and removed with the test. */
  static async start(flavour: Flavour, t?: TestContext): Promise<NodeSpace> {
    const used = new Set(Object.values(networkInterfaces()).flatMap((list) => list!.map((a) => a.address)));
    let third = Math.floor(Math.random() * 256);
    while (used.has(`10.215.${third}.1`)) third = (third + 1) % 256;
    const space = new NodeSpace(`hbn${process.pid}x${made++}`, third);
    t?.after(() => space.stop());
    try {
      space.#plug();
      const enter = ['nsenter', `--net=/run/netns/${space.name}`];
      space.engine = await Engine.start(flavour, { enter, flags: ['--tls=false', '--host', `tcp://${space.address}:2375`] });
    } catch (error) {
      await space.stop();
      throw error;
    }
    return space;
  }

  #plug(): void {
    ip('netns', 'add', this.name);
    ip('link', 'add', `${this.name}o`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', this.name);
    ip('address', 'add', `${this.outside}/30`, 'dev', `${this.name}o`);
    ip('link', 'set', `${this.name}o`, 'up');
    ip('-n', this.name, 'address', 'add', `${this.address}/30`, 'dev', 'eth0');
    for (const device of ['lo', 'eth0']) ip('-n', this.name, 'link', 'set', device, 'up');
  }

  /** As a hub's node wants it. */
  get config(): { kind: 'local'; url: string } {
    return { kind: 'local', url: `tcp://${this.address}:2375` };
  }

  /** The cable is out: nothing answers, nothing is refused, and what runs in there runs on. */
  unplug(): void {
    ip('link', 'set', `${this.name}o`, 'down');
  }

  replug(): void {
    ip('link', 'set', `${this.name}o`, 'up');
  }

  /** Puts an image under a name that no registry is asked for in vain for long. */
  async give(image: Image, tag: string): Promise<string> {
    return giveImage(this.engine, image, tag);
  }

  async stop(): Promise<void> {
    await this.engine?.stop();
    spawnSync('ip', ['link', 'delete', `${this.name}o`]);
    spawnSync('ip', ['netns', 'delete', this.name]);
  }
}

/** An image on the engine alone; where it is asked for nothing listens, so a pull is refused at once. */
export async function giveImage(engine: Engine, image: Image, tag: string): Promise<string> {
  const reference = `127.0.0.1:9/${tag}`;
  await engine.importImage(reference, image.rootfs, importChanges(image));
  return reference;
}
