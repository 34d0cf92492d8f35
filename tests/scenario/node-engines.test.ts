// The ways to a node's engine: by SSH with a key that the hub keeps, by TLS with certificates on both sides; and what is
// said when it is not let in.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Authority } from '../support/authority.ts';
import { Hub } from '../support/hub.ts';
import { demoImage } from '../support/images.ts';
import { giveImage } from '../support/netns.ts';
import { dockerOld, type Engine } from '../support/parts/docker.ts';
import { PortainerStandin } from '../support/parts/portainer-standin.ts';
import { Sshd } from '../support/parts/sshd.ts';
import { ended, service, text } from '../support/rig.ts';
import { freePort, waitFor } from '../support/wait.ts';

describe('the ways to an engine', { skip: dockerOld.skip || Sshd.skip }, () => {
  let hub: Hub;
  const add = (name: string, engine: object) => ({ query: { check: true }, body: { name, type: 'spoke', provider: 'local', engine } as never });
  const secret = (secretName: string, file: string) => hub.ok('PUT', '/secrets/{secretName}', { params: { secretName }, body: { value: readFileSync(file, 'utf8') } });
  const serves = async (nodeId: string, engine: Engine): Promise<void> => {
    const status = async () => (await hub.ok('GET', '/infrastructure/nodes/{nodeId}', { params: { nodeId } })).node.status;
    await waitFor(async () => (await status()) === 'active', { timeout: 30_000, what: `${nodeId} active` });
    const image = await giveImage(engine, demoImage({ version: nodeId }), 'demo:1');
    const networking = { internalPort: 8080, healthCheck: { path: '/health', interval: 1 } };
    const { deployment_id } = await hub.ok('POST', '/services', { body: { name: `on-${nodeId}`, nodeId, container: { image }, networking } as never });
    const { status: end } = await ended(hub, deployment_id);
    assert.equal(end.state, 'completed', JSON.stringify(end));
    assert.equal(await text((await service(hub, `on-${nodeId}`)).networking.url), nodeId);
    // The way is given up with its node, so that what is at its other end can go.
    await hub.ok('DELETE', '/services/{serviceId}', { params: { serviceId: `on-${nodeId}` }, query: { confirm: `on-${nodeId}` }, timeout: 30_000 });
    await hub.ok('DELETE', '/infrastructure/nodes/{nodeId}', { params: { nodeId } });
  };

  before(async () => {
    hub = await Hub.start();
  });
  after(async () => {
    await hub?.stop();
    await hub?.discard();
  });

  test('SSH: the key is a secret, the host is known by its fingerprint', async (t) => {
    const [engine, sshd] = await Promise.all([dockerOld.start(t), Sshd.start(t)]);
    await secret('good-key', sshd.userKey);
    await secret('other-key', sshd.otherKey);
    const way = { kind: 'ssh', url: sshd.url(engine.socket), fingerprint: sshd.fingerprint, key: { secret: 'good-key' } };
    const { error } = await hub.refused(502, 'POST', '/infrastructure/nodes', add('by-ssh', { ...way, key: { secret: 'other-key' } }));
    assert.match(error.message, /authorized_keys/, 'it says how to mend it');
    await hub.refused(404, 'POST', '/infrastructure/nodes', add('by-ssh', { ...way, key: { secret: 'absent' } }));
    const { node } = await hub.ok('POST', '/infrastructure/nodes', add('by-ssh', way));
    assert.deepEqual(node.engine, way, 'shown by name');
    await serves('by-ssh', engine);
  });

  test('TLS: certificates are files of the hub or secrets', async (t) => {
    const authority = new Authority(t);
    const [server, client, port] = [authority.issue('server'), authority.issue('client'), await freePort()];
    const tls = ['--tlsverify', '--tlscacert', authority.certificate, '--tlscert', join(server, 'cert.pem'), '--tlskey', join(server, 'key.pem')];
    const engine = await dockerOld.start(t, ['--host', `tcp://127.0.0.1:${port}`, ...tls]);
    await secret('client-key', join(client, 'key.pem'));
    const way = { kind: 'tls', url: `tcp://127.0.0.1:${port}`, authority: { file: authority.certificate }, certificate: { file: join(client, 'cert.pem') }, key: { secret: 'client-key' } };
    const reply = await hub.api('POST', '/infrastructure/nodes', add('by-tls', { kind: 'tls', url: way.url, authority: way.authority }));
    assert.ok(reply.status >= 500, 'no certificate, no engine');
    await hub.ok('POST', '/infrastructure/nodes', add('by-tls', way));
    await serves('by-tls', engine);
  });

  test('a Portainer: the endpoint is the one that has the name of the node, the token is a secret', async (t) => {
    const engine = await dockerOld.start(t);
    const standin = await PortainerStandin.start(t, { socket: engine.socket, token: 'ptr_right', endpoint: { id: 7, name: 'by-portainer' } });
    for (const value of ['ptr_wrong', 'ptr_right']) await hub.ok('PUT', '/secrets/{secretName}', { params: { secretName: value }, body: { value } });
    const way = (token: string) => ({ kind: 'portainer', url: standin.url, key: { secret: token } });
    const { error } = await hub.refused(502, 'POST', '/infrastructure/nodes', add('by-portainer', way('ptr_wrong')));
    assert.match(error.message, /access token/);
    assert.doesNotMatch(JSON.stringify(error), /ptr_right/);
    // What its engine publishes is reached at an address that Portainer does not know.
    const asked = add('by-portainer', way('ptr_right')) as { body: object };
    await hub.ok('POST', '/infrastructure/nodes', { ...asked, body: { ...asked.body, networking: { tailscaleIP: '127.0.0.1' } } as never });
    await serves('by-portainer', engine);
    assert.ok(standin.passed.some((call) => /POST .*\/containers\/create/.test(call)));
  });

  test('only an admin says how a node is reached', async () => {
    const operator = await hub.ok('POST', '/keys', { body: { name: 'operator', role: 'operator' } });
    const reply = await fetch(`${hub.url}/v1/infrastructure/nodes`, {
      method: 'POST',
      headers: { 'x-api-key': operator.secret, 'content-type': 'application/json' },
      body: JSON.stringify(add('attic', { kind: 'local', url: 'tcp://127.0.0.1:9' }).body),
    });
    assert.equal(reply.status, 403);
    assert.deepEqual(Object.keys((await reply.json()).error.details), ['/engine']);
  });
});
