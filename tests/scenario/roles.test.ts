// Who may call what: every operation of the contract, by every kind of caller, answered exactly as its x-role says.
import assert from 'node:assert/strict';
import { createHmac, createSign, generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse } from 'yaml';
import { Hub, repository } from '../support/hub.ts';

type Role = 'public' | 'viewer' | 'operator' | 'admin';
const ranks: Role[] = ['public', 'viewer', 'operator', 'admin'];

interface Operation {
  id: string;
  method: string;
  path: string;
  role: Role;
  stream: boolean;
}

/** Every operation with a path that names nothing that exists, so that no call changes anything. */
function operations(): Operation[] {
  const contract = parse(readFileSync(`${repository}/docs/api/openapi.yaml`, 'utf8'));
  return Object.entries<any>(contract.paths).flatMap(([path, item]) =>
    ['get', 'post', 'put', 'patch', 'delete'].flatMap((method) => {
      const operation = item[method];
      if (!operation) return [];
      const base = item.servers?.[0].url === '/' ? '' : '/v1';
      return [{ id: operation.operationId, method: method.toUpperCase(), path: base + path.replace(/\{\w+\}/g, 'nothing-here'), role: operation['x-role'], stream: operation['x-stream'] === true }];
    }),
  );
}

describe('roles', () => {
  let hub: Hub;
  before(async () => (hub = await Hub.start({ env: { HBCLOUD_RATE_ANONYMOUS: '0', HBCLOUD_VALIDATE_REPLIES: '0' } })));
  after(async () => {
    await hub.stop();
    await hub.discard();
  });

  /** Only the status matters: the body is left unread, for a stream has no end. A write without a body is 400 for those who may. */
  async function status({ method, path }: Operation, headers: Record<string, string>): Promise<number> {
    const abort = new AbortController();
    const reply = await fetch(hub.url + path, { method, headers, signal: abort.signal });
    abort.abort();
    return reply.status;
  }
  const newKey = (role: 'viewer' | 'operator' | 'admin', expiresAt?: string) => hub.ok('POST', '/keys', { body: { name: `a ${role}`, role, expiresAt } });

  test('each operation says who may call it', () => {
    const all = operations();
    assert.ok(all.length > 25);
    for (const o of all) assert.ok(ranks.includes(o.role), `${o.id}: ${o.role}`);
  });

  /** Asks the engine, which this hub does not have. */
  const needsEngine = new Set(['removeNetwork']);
  for (const caller of ranks) {
    test(`${caller}: allowed or refused as the contract says, by key and by token`, async () => {
      const callers: Record<string, string>[] = [{}];
      if (caller !== 'public') {
        const { secret } = await newKey(caller);
        const { token } = await hub.ok('POST', '/tokens', { body: { role: caller } });
        callers.splice(0, 1, { 'x-api-key': secret }, { authorization: `Bearer ${token}` });
      }
      for (const o of operations()) {
        for (const headers of callers) {
          const got = await status(o, headers);
          if (o.id === 'createToken' && headers.authorization) assert.equal(got, 403, 'a token begets no token');
          else if (ranks.indexOf(caller) >= ranks.indexOf(o.role)) assert.ok(got !== 401 && got !== 403 && (got < 500 || (got === 503 && needsEngine.has(o.id))), `${caller} ${o.id}: ${got}`);
          else assert.equal(got, caller === 'public' ? 401 : 403, `${caller} ${o.id}`);
        }
      }
    });
  }

  const forged: Record<string, () => Promise<Record<string, string>>> = {
    'a revoked key': async () => {
      const { key, secret } = await newKey('admin');
      await hub.ok('DELETE', '/keys/{keyId}', { params: { keyId: key.id } });
      return { 'x-api-key': secret };
    },
    'an expired key': async () => {
      const { secret } = await newKey('admin', new Date(Date.now() + 1500).toISOString());
      assert.equal((await hub.raw('GET', '/v1/keys', { key: secret })).status, 200);
      await sleep(1600); // the condition is the time itself
      return { 'x-api-key': secret };
    },
    'a token of a revoked key': async () => {
      const { key, secret } = await newKey('admin');
      const { token } = await hub.ok('POST', '/tokens', { key: secret });
      await hub.ok('DELETE', '/keys/{keyId}', { params: { keyId: key.id } });
      return { authorization: `Bearer ${token}` };
    },
    'a key that is cut': async () => ({ 'x-api-key': hub.key!.slice(0, -1) }),
    'a cookie that nobody gave': async () => ({ cookie: `hbcloud_session=${'a'.repeat(43)}` }),
  };
  for (const [name, make] of Object.entries(forged)) {
    test(`${name} is 401 at every operation that needs somebody`, async () => {
      const headers = await make();
      const guarded = operations().filter((o) => o.role !== 'public');
      for (const [i, o] of guarded.entries()) {
        const got = await status(o, headers);
        assert.ok(got === 401 || (got === 429 && i >= 20), `${o.id}: ${got}; only who guesses at one key again and again is put off`);
      }
    });
  }

  test('O44 forged tokens get the same 401 each time', async () => {
    const { token } = await hub.ok('POST', '/tokens');
    const [head, body, signature] = token.split('.') as [string, string, string];
    const header = JSON.parse(Buffer.from(head, 'base64url').toString());
    const claims = JSON.parse(Buffer.from(body, 'base64url').toString());
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
    const hmac = (alg: string, kid: unknown, key: string, with_ = claims) => {
      const signed = `${encode({ ...header, alg, kid })}.${encode(with_)}`;
      return `${signed}.${createHmac(`sha${alg.slice(2)}`, key).update(signed).digest('base64url')}`;
    };
    const rsa = `${encode({ ...header, alg: 'RS256' })}.${body}`;
    const { exp, ...noExpiry } = claims;
    const tokens = [
      ...['HS256', 'HS384', 'HS512'].flatMap((alg) => [pem, pem.trim(), pem.replaceAll('\n', '\r\n'), '', head].map((key) => hmac(alg, header.kid, key))),
      ...['../../etc/passwd', '/dev/null', "' OR 1=1 --", 'foreign', '', 7, null].map((kid) => hmac('HS256', kid, '')),
      `${encode({ ...header, alg: 'none' })}.${body}.`, `${encode({ ...header, alg: 'NONE' })}.${body}.`,
      `${rsa}.${createSign('RSA-SHA256').update(rsa).sign(privateKey).toString('base64url')}`,
      `${head}.${encode({ ...claims, role: 'admin', exp: exp + 9e6 })}.${signature}`, `${head}.${encode(noExpiry)}.${signature}`, `${head}.${encode({ ...claims, exp: String(exp) })}.${signature}`,
      `${head}.${body}`, `${head}.${body}.`, `${head}.${body}.${signature}.x`, `${head}.${body}.${signature}=`, '..', 'x', 'x'.repeat(8000),
    ];
    const answers = [];
    for (const forged_ of tokens) answers.push(await hub.raw('GET', '/v1/infrastructure/nodes', { key: null, headers: { authorization: `Bearer ${forged_}` } }));
    answers.forEach((reply, i) => assert.equal(reply.status, 401, tokens[i]));
    const said = new Set(answers.map(({ body: { error }, headers }) => JSON.stringify([error.code, error.message, headers.get('www-authenticate')])));
    assert.equal(said.size, 1, [...said].join('\n'));
    assert.equal((await hub.raw('GET', '/v1/infrastructure/nodes', { key: null, headers: { authorization: `Bearer ${token}` } })).status, 200, 'the true one is taken');
  });

  test('a session writes only with its CSRF token, and ends with its key', async () => {
    const { key, secret } = await newKey('operator');
    const opened = await hub.raw('POST', '/v1/sessions', { key: null, body: { apiKey: secret } });
    const cookie = opened.headers.get('set-cookie')!;
    assert.match(cookie, /HttpOnly/i);
    assert.match(cookie, /SameSite=Strict/i);
    const sent = { cookie: cookie.split(';')[0]! };
    const write = (headers: Record<string, string>) => hub.raw('POST', '/v1/infrastructure/nodes', { key: null, body: { name: 'by-session', type: 'spoke', provider: 'other' }, headers: { ...sent, ...headers } });
    assert.equal((await write({})).status, 403);
    assert.equal((await write({ 'x-csrf-token': 'guessed' })).status, 403);
    assert.equal((await write({ 'x-csrf-token': opened.body.session.csrfToken })).status, 201);
    await hub.ok('DELETE', '/keys/{keyId}', { params: { keyId: key.id } });
    assert.equal((await hub.raw('GET', '/v1/sessions/current', { key: null, headers: sent })).status, 401);
  });
});
