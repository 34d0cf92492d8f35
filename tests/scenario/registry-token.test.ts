// A registry whose logins go to a token service, as those of GHCR and Docker Hub do: the password reaches the service alone.
import assert from 'node:assert/strict';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { startHub } from '../support/hub.ts';

test('a login is tried at the token service that the registry names, and kept only when it is taken', async (t) => {
  const asked: string[] = [];
  const good = `Basic ${Buffer.from('octocat:right').toString('base64')}`;
  let realm = '';
  const answer = (rq: IncomingMessage): [number, Record<string, string>, string] => {
    asked.push(`${rq.url} ${rq.headers.authorization ?? 'nobody'}`);
    if (rq.url?.startsWith('/token?service=here')) return rq.headers.authorization === good ? [200, {}, '{"token":"t0ken"}'] : [401, {}, '{}'];
    return [401, { 'www-authenticate': `Bearer realm="${realm}",service="here"` }, '{}'];
  };
  const server = createServer((rq, reply) => { const [status, headers, body] = answer(rq); reply.writeHead(status, headers).end(body); });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  t.after(() => { server.closeAllConnections(); server.close(); });
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const hub = await startHub(t);
  const login = { params: { registryHost: host }, query: { check: true } } as const;

  realm = `http://${host}/token`;
  await hub.refused(400, 'PUT', '/registries/{registryHost}', { ...login, body: { username: 'octocat', password: 'wrong' } });
  assert.deepEqual((await hub.ok('GET', '/registries')).registries, []);
  await hub.ok('PUT', '/registries/{registryHost}', { ...login, body: { username: 'octocat', password: 'right' } });
  assert.deepEqual((await hub.ok('GET', '/registries')).registries.map((r) => [r.host, r.username]), [[host, 'octocat']]);
  assert.deepEqual(asked.filter((a) => a.startsWith('/v2/')).map((a) => a.split(' ')[1]), ['nobody', 'nobody'], 'the registry itself never sees the password');

  realm = 'http://elsewhere.example.net/token\t';
  await hub.refused(502, 'PUT', '/registries/{registryHost}', { ...login, body: { username: 'octocat', password: 'right' } });
});
