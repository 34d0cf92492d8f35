// Requests that nobody thought of, made from the served contract by schemathesis, and each reply held against it.
// Takes about a minute and a download from PyPI, so it is asked for: HBCLOUD_SCHEMATHESIS=1 ./dev test contract
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { startHub } from '../support/hub.ts';
import { part } from '../support/parts/part.ts';
import { Process } from '../support/process.ts';

const asked = process.env.HBCLOUD_SCHEMATHESIS === '1';
const installed = asked ? part('schemathesis') : { dir: '', skip: 'asked for by HBCLOUD_SCHEMATHESIS=1' };

/** Ends what the run itself needs, waits for ever, or is served elsewhere than below /v1. */
const left = ['revokeKey', 'deleteSession', 'streamEvents', 'rotateTokenKey', 'getDocs', 'getHealth', 'getReady', 'getMetrics'];
/** A path may be too long for any operation, and this hub has no engine to deploy to. */
const settings = `[checks]
negative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 406, 409, 412, 413, 414, 415, 422, 429, 431]
not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", 503]
`;

test('each reply to a made-up request is one that the contract allows', { skip: installed.skip, timeout: 150_000 }, async (t) => {
  const hub = await startHub(t, { env: { HBCLOUD_RATE_KNOWN: '0', HBCLOUD_RATE_ANONYMOUS: '0' } });
  const dir = mkdtempSync(join(tmpdir(), 'hbcloud-schemathesis-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  writeFileSync(join(dir, 'schemathesis.toml'), settings);
  const checks = 'not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance,negative_data_rejection,unsupported_method';
  const args = ['run', `${hub.url}/v1/openapi.json`, '--origin', hub.url, '-H', `X-API-Key: ${hub.key}`, '--checks', checks, '--seed', '1', '--max-time', '60', '--max-examples', '20', '--no-color', '--phases', 'examples,coverage,fuzzing'];
  const run = Process.start(join(installed.dir, 'bin/schemathesis'), [...args, ...left.flatMap((id) => ['--exclude-operation-id', id])], { cwd: dir });
  const { code } = await run.wait(140_000);
  assert.equal(code, 0, run.output.replaceAll(hub.key!, '***').slice(-8000));
  assert.match(run.output, /Test cases|generated/i, 'it did something');
});
