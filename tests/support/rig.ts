// An engine, a registry and a hub that the tests of one suite share, and the few acts that most of them begin with.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import type { components } from './api.d.ts';
import type { Client } from './client.ts';
import { Hub, type HubOptions } from './hub.ts';
import { demoImage, type DemoOptions, type Image } from './images.ts';
import { Engine, type Flavour } from './parts/docker.ts';
import { Registry } from './parts/registry.ts';
import { waitFor } from './wait.ts';

type Schemas = components['schemas'];
export type Deployment = Schemas['DeploymentEvent'];
export type Service = Schemas['ServiceInstance'];
export type ServiceRequest = Schemas['ServiceDeploymentRequest'];
export type ServiceChange = Schemas['ServiceUpdateRequest'];

/** The container settings that engines tell; only what tests look at. */
export interface Inspected {
  Id: string;
  Name: string;
  Config: { Env: string[]; Labels: Record<string, string> };
  State: { Status: string; Running: boolean; ExitCode: number };
  HostConfig: { NanoCpus: number; Memory: number; PortBindings: Record<string, { HostIp: string; HostPort: string }[]> };
}

const final = new Set(['completed', 'failed', 'rolled_back', 'cancelled', 'superseded']);

export async function deployment(hub: Client, deploymentId: string): Promise<Deployment> {
  return (await hub.ok('GET', '/deployments/{deploymentId}', { params: { deploymentId } })).deployment;
}

/** Waits for a deployment's end, whatever it is. */
export function ended(hub: Client, deploymentId: string, timeout = 60_000, every?: number): Promise<Deployment> {
  const look = async (): Promise<Deployment | false> => {
    const now = await deployment(hub, deploymentId);
    return final.has(now.status.state) && now;
  };
  return waitFor(look, { timeout, ...(every && { every }), what: `the end of deployment ${deploymentId}` });
}

export async function service(hub: Client, serviceId: string): Promise<Service> {
  return (await hub.ok('GET', '/services/{serviceId}', { params: { serviceId } })).service;
}

/** Waits until the service is as wanted. */
export function serviceThat(hub: Client, name: string, wanted: (s: Service) => boolean, timeout = 20_000): Promise<Service> {
  let last: Service | undefined;
  const look = async (): Promise<Service | false> => wanted((last = await service(hub, name))) && last;
  return waitFor(look, { timeout, what: `the wanted state of ${name}` }).catch((error) => {
    throw new Error(`${error.message}; it is ${JSON.stringify(last)}`);
  });
}

export async function text(url: string | null, path = '/version'): Promise<string> {
  assert.ok(url, 'the service has an address');
  const reply = await fetch(url + path, { signal: AbortSignal.timeout(3000) });
  return (await reply.text()).trim();
}

export class Rig {
  engine!: Engine;
  registry!: Registry;
  hub!: Hub;
  readonly flavour: Flavour;

  constructor(flavour: Flavour) {
    this.flavour = flavour;
  }

  get events(): Hub['events'] {
    return this.hub.events.bind(this.hub);
  }

  /** Pushes a version of the demo service. */
  async demo(tag: string, options: DemoOptions = {}): Promise<string> {
    return this.push('demo', tag, demoImage({ version: tag, ...options }));
  }

  async push(name: string, tag: string, image: Image): Promise<string> {
    return (await this.registry.push(name, tag, image)).reference;
  }

  /** Asks for a new service; the deployment goes on by itself. */
  begin(name: string, image: string, more: Partial<ServiceRequest> = {}): Promise<Schemas['ServiceDeploymentReply']> {
    const { container, networking, ...rest } = more;
    const body = { name, container: { image, ...container }, networking: { internalPort: 8080, ...networking }, ...rest } as ServiceRequest;
    return this.hub.ok('POST', '/services', { body });
  }

  /** Deploys a new service and waits for the end. */
  async deploy(name: string, image: string, more: Partial<ServiceRequest> = {}): Promise<Deployment> {
    return ended(this.hub, (await this.begin(name, image, more)).deployment_id);
  }

  /** Deploys what must come to serve. */
  async serve(name: string, image: string, more: Partial<ServiceRequest> = {}): Promise<Service> {
    const end = await this.deploy(name, image, more);
    assert.equal(end.status.state, 'completed', JSON.stringify(end.status));
    return service(this.hub, name);
  }

  /** Changes a service and waits for the end. */
  async update(serviceId: string, body: ServiceChange): Promise<Deployment> {
    return ended(this.hub, (await this.hub.ok('PATCH', '/services/{serviceId}', { params: { serviceId }, body })).deployment_id);
  }

  remove(name: string, volumes?: string[]): Promise<{ service: Service }> {
    return this.hub.ok('DELETE', '/services/{serviceId}', { params: { serviceId: name }, query: { confirm: name, volumes }, timeout: 30_000 });
  }

  /** The containers that belong to a service by their label, running or not. */
  async containersOf(name: string): Promise<Inspected[]> {
    const mine = (await this.engine.containers()).filter((c) => c.Labels['hbcloud.service'] === name);
    return Promise.all(mine.map((c) => this.inspect(c.Id)));
  }

  inspect(id: string): Promise<Inspected> {
    return this.engine.call('GET', `/containers/${id}/json`);
  }

  /** What a service wrote, exactly. */
  async logs(name: string, query: Record<string, unknown> = {}): Promise<Buffer> {
    const url = new URL(`/v1/services/${name}/logs`, this.hub.url);
    for (const [key, value] of Object.entries(query)) url.searchParams.set(key, String(value));
    const reply = await fetch(url, { headers: { 'x-api-key': this.hub.key!, accept: 'text/plain' } });
    assert.equal(reply.status, 200);
    return Buffer.from(await reply.arrayBuffer());
  }
}

/** Starts the three before a suite's first test and ends them after its last; the hub must end in order. */
export function useRig(flavour: Flavour, options: HubOptions | ((rig: Rig) => HubOptions | Promise<HubOptions>) = {}): Rig {
  const rig = new Rig(flavour);
  before(async () => {
    [rig.engine, rig.registry] = await Promise.all([flavour.start(), Registry.start()]);
    rig.hub = await Hub.start({ dockerHost: rig.engine.host, ...(typeof options === 'function' ? await options(rig) : options) });
    await waitFor(async () => (await rig.hub.ok('GET', '/system')).system.engine.available, { what: 'the engine in the hub' });
  });
  after(async () => {
    try {
      if (rig.hub?.running) await rig.hub.stop();
    } finally {
      await rig.hub?.discard();
      await Promise.all([rig.engine?.stop(), rig.registry?.stop()]);
    }
  });
  return rig;
}
