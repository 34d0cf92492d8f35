// The same adapter tests, on an engine that is not on this machine's own socket: by SSH (sockets passed on, or the host's
// docker program asked) and by TLS with certificates on both sides.
import assert from 'node:assert/strict';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { Authority } from '../support/authority.ts';
import { binary } from '../support/hub.ts';
import { dockerOld } from '../support/parts/docker.ts';
import { importChanges, shellImage, stay } from '../support/images.ts';
import { PortainerStandin } from '../support/parts/portainer-standin.ts';
import { Registry } from '../support/parts/registry.ts';
import { Sshd } from '../support/parts/sshd.ts';
import { Process } from '../support/process.ts';
import { freePort } from '../support/wait.ts';

const skip = dockerOld.skip || Sshd.skip || Registry.skip;

async function passes(program: string, env: Record<string, string>): Promise<void> {
  const run = Process.start(join(dirname(binary), 'tests/unit/docker', program), [], { env: { ...process.env, ...env, CMOCKA_MESSAGE_OUTPUT: 'STDOUT' } });
  const exit = await run.wait(300_000);
  assert.equal(exit.code, 0, run.output);
  assert.match(run.stdout, /\[ +OK +\]/, 'it ran');
}

test("the adapter's live tests on an engine by SSH, its socket passed on", { skip }, async (t) => {
  const [engine, sshd, registry] = await Promise.all([dockerOld.start(t), Sshd.start(t), Registry.start(t)]);
  const reached = {
    HB_TEST_DOCKER_HOST: sshd.url(engine.socket),
    HB_TEST_DOCKER_SOCKET: engine.host,
    HB_TEST_SSH_KEY: sshd.userKey,
    HB_TEST_KNOWN_HOSTS: sshd.knownHosts,
    HB_TEST_REGISTRY: registry.address,
  };
  await passes('test_docker_live', reached);
  await passes('test_docker_objects', reached);
});

function sshSettings(sshd: Sshd, socket: string): Record<string, string> {
  return {
    HB_TEST_SSH_URL: sshd.url(socket),
    HB_TEST_SSH_KEY: sshd.userKey,
    HB_TEST_SSH_OTHER_KEY: sshd.otherKey,
    HB_TEST_KNOWN_HOSTS: sshd.knownHosts,
    HB_TEST_SSH_FINGERPRINT: sshd.fingerprint,
    HB_TEST_SSHD_PID: String(sshd.pid),
  };
}

test('who is trusted by SSH, what is said, and how a lost session comes back', { skip }, async (t) => {
  const [engine, sshd] = await Promise.all([dockerOld.start(t), Sshd.start(t)]);
  await passes('test_docker_ssh', sshSettings(sshd, engine.socket));
});

test("the same where the host passes no sockets on: its own docker program is asked", { skip }, async (t) => {
  const engine = await dockerOld.start(t);
  const env = { DOCKER_HOST: engine.host, PATH: `${dockerOld.programs}:/usr/bin:/bin` };
  const sshd = await Sshd.start(t, { sockets: false, env });
  await passes('test_docker_ssh', { ...sshSettings(sshd, engine.socket), HB_TEST_SSH_BY_PROGRAM: '1' });
  await passes('test_docker_objects', {
    HB_TEST_DOCKER_HOST: sshd.url(engine.socket),
    HB_TEST_DOCKER_SOCKET: engine.host,
    HB_TEST_SSH_KEY: sshd.userKey,
    HB_TEST_KNOWN_HOSTS: sshd.knownHosts,
  });
});

test('an engine by TLS: certificates on both sides are looked at', { skip }, async (t) => {
  const [authority, stranger] = [new Authority(t), new Authority(t)];
  const [server, client] = [authority.issue('server', 'IP:127.0.0.1'), authority.issue('client')];
  const port = await freePort();
  const tls = ['--tlsverify', '--tlscacert', authority.certificate, '--tlscert', join(server, 'cert.pem'), '--tlskey', join(server, 'key.pem')];
  const engine = await dockerOld.start(t, ['--host', `tcp://127.0.0.1:${port}`, ...tls]);
  const reached = { HB_TEST_DOCKER_HOST: `tcp://127.0.0.1:${port}`, HB_TEST_DOCKER_SOCKET: engine.host, HB_TEST_DOCKER_CERTS: client };
  await passes('test_docker_objects', reached);
  await passes('test_docker_live', reached);
  await passes('test_docker_tls', { ...reached, HB_TEST_STRANGER_CERTS: stranger.issue('client'), HB_TEST_PORT: String(port) });
});

test("an engine behind a Portainer: its token, its endpoint, and a registry's login that Portainer keeps", { skip }, async (t) => {
  const login = { user: 'deployer', password: 'kept-by-portainer' };
  const [engine, registry] = await Promise.all([dockerOld.start(t), Registry.start(t, { login })]);
  const { reference } = await registry.push('private/app', '1', shellImage('true'));
  const authority = new Authority(t);
  const registries = [{ id: 4, url: registry.address, user: login.user, password: login.password }];
  const shared = { socket: engine.socket, token: 'ptr_secret', endpoint: { id: 3, name: 'attic' }, registries };
  const standin = await PortainerStandin.start(t, { ...shared, certificates: authority.issue('portainer') });
  const plain = await PortainerStandin.start(t, shared);
  const reached = { HB_TEST_PORTAINER_TOKEN: 'ptr_secret', HB_TEST_PORTAINER_ENDPOINT: 'attic' };
  await passes('test_portainer', { ...reached, HB_TEST_PORTAINER_URL: plain.url });
  const live = { HB_TEST_DOCKER_HOST: engine.host, HB_TEST_PORTAINER_URL: standin.url, HB_TEST_PORTAINER_AUTHORITY: authority.certificate };
  await passes('test_docker_live', { ...reached, ...live });
  await passes('test_docker_objects', { ...reached, ...live, HB_TEST_PRIVATE_IMAGE: reference, HB_TEST_PRIVATE_LOGIN: `${login.user}:unused` });
  assert.ok(standin.passed.some((call) => /^PUT \/v1\.\d+\/containers\/.*archive/.test(call)), 'calls went through it');
});

test('services of a real Swarm: an update, one that fails and goes back by itself, a rollback that was asked for', { skip }, async (t) => {
  const engine = await dockerOld.start(t);
  await passes('test_swarm', { HB_TEST_SWARM_NONE: engine.host });
  await engine.call('POST', '/swarm/init', { ListenAddr: `127.0.0.1:${await freePort()}`, AdvertiseAddr: '127.0.0.1' });
  for (const [name, script] of [['good:1', stay], ['next:1', `:; ${stay}`], ['bad:1', 'exit 7']] as const) {
    const image = shellImage(script);
    await engine.importImage(name, image.rootfs, importChanges(image));
  }
  await passes('test_swarm', {
    HB_TEST_SWARM_HOST: engine.host,
    HB_TEST_SWARM_GOOD: 'good:1',
    HB_TEST_SWARM_NEXT: 'next:1',
    HB_TEST_SWARM_BAD: 'bad:1',
  });
});
