// A Compose project becomes services of a real engine: in order, with its networks, jobs, volumes and secrets in files.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { cli as run, type CliResult } from '../support/hub.ts';
import { shellImage, stay } from '../support/images.ts';
import { dockerOld } from '../support/parts/docker.ts';
import { Registry } from '../support/parts/registry.ts';
import { service, text, useRig } from '../support/rig.ts';
import { freePort } from '../support/wait.ts';

/** Whether a connection to the port comes about at this address. */
function isOpen(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 1000 });
    const end = (open: boolean) => () => { socket.destroy(); resolve(open); };
    socket.on('connect', end(true)).on('error', end(false)).on('timeout', end(false));
  });
}

describe('hbcloud compose import', { skip: dockerOld.skip || Registry.skip }, () => {
  const rig = useRig(dockerOld);
  let folder: string;
  before(() => (folder = mkdtempSync(join(tmpdir(), 'hbcloud-compose-'))));
  after(() => rmSync(folder, { recursive: true, force: true }));

  function imported(name: string, yaml: string, ...args: string[]): Promise<CliResult> {
    const file = join(folder, `${name}.yml`);
    writeFileSync(file, yaml);
    return run(['compose', 'import', file, '--yes', '--project', name, ...args], { hub: rig.hub, timeout: 120_000 });
  }

  test('O14 O16 O17 a project with an init job, an internal network, a loopback port, a secret in a file, dollars in values', async () => {
    const port = await freePort();
    const demo = await rig.demo('1'), shell = await rig.push('shell', '1', shellImage(stay));
    writeFileSync(join(folder, 'token.txt'), 'very secret token');
    const done = await imported('first', `
name: first
services:
  web:
    image: ${demo}
    ports: [{ target: 8080, published: ${port}, host_ip: 127.0.0.1 }]
    environment: { PRICE: "it costs $$5", GREETING: hello }
    secrets: [token]
    networks: [front, back]
    depends_on:
      prepare: { condition: service_completed_successfully }
      cache: { condition: service_started }
    healthcheck: { test: ["CMD", "wget", "-q", "-O", "-", "http://127.0.0.1:8080/health"], interval: 1s }
  cache:
    image: ${shell}
    networks: [back]
  prepare:
    image: ${shell}
    command: ["/bin/sh", "-c", "echo prepared > /data/done"]
    volumes: ["files:/data"]
    networks: [back]
networks: { front: {}, back: { internal: true } }
volumes: { files: }
secrets: { token: { file: ./token.txt } }
`);
    assert.equal(done.code, 0, done.stderr);
    assert.deepEqual(done.stdout.trim().split('\n').sort(), ['first-cache', 'first-prepare', 'first-web']);
    const web = await service(rig.hub, 'first-web');
    assert.equal(web.status.health, 'healthy');
    assert.equal(await text(`http://127.0.0.1:${port}`), '1');
    const outside = Object.values(networkInterfaces()).flat().find((a) => a && a.family === 'IPv4' && !a.internal)?.address;
    if (outside) assert.equal(await isOpen(outside, port), false, 'the port is closed from another address');

    const [container] = await rig.containersOf('first-web');
    const inspected = JSON.stringify(await rig.inspect(container!.Id));
    assert.ok(!inspected.includes('very secret token'), 'the engine tells nobody the secret');
    assert.ok(container!.Config.Env.includes('PRICE=it costs $5'));
    const said = await rig.engine.request('GET', `/containers/${container!.Id}/archive?path=/run/secrets/token`);
    assert.ok(said.body.toString().includes('very secret token'), 'and the container has it as a file');

    const back: { Internal: boolean; Containers: Record<string, object> } = await rig.engine.call('GET', '/networks/first_back');
    assert.equal(back.Internal, true);
    assert.ok(Object.keys(back.Containers).includes(container!.Id));
    const volume: { Name: string } = await rig.engine.call('GET', '/volumes/first_files');
    assert.equal(volume.Name, 'first_files');
  });

  test('O15 an external volume that is not there is refused before anything stops', async () => {
    const demo = await rig.demo('1');
    assert.equal((await imported('second', `services: { app: { image: ${demo}, ports: ["8080"] } }\n`)).code, 0);
    const before = await rig.containersOf('second-app');
    const refused = await imported('second', `
services: { app: { image: ${demo}, ports: ["8080"], volumes: ["data:/data"] } }
volumes: { data: { external: true } }
`);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /volume data does not exist/);
    assert.deepEqual((await rig.containersOf('second-app')).map((c) => [c.Id, c.State.Running]), before.map((c) => [c.Id, true]));
  });

  test('a second import changes what differs', async () => {
    const [one, two] = [await rig.demo('1'), await rig.demo('2')];
    const project = (image: string) => `services: { app: { image: ${image}, ports: ["8080"] } }\n`;
    assert.equal((await imported('third', project(one))).code, 0);
    const again = await imported('third', project(two));
    assert.equal(again.code, 0, again.stderr);
    assert.equal(await text((await service(rig.hub, 'third-app')).networking.url), '2');
    assert.equal((await rig.containersOf('third-app')).length, 1);
  });
});
