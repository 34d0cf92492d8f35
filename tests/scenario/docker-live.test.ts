// The adapter's own C tests (tests/unit/docker/test_docker_live.c) against the real engines; by themselves they skip.
import assert from 'node:assert/strict';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { binary } from '../support/hub.ts';
import { engines } from '../support/parts/docker.ts';
import { Registry } from '../support/parts/registry.ts';
import { Process } from '../support/process.ts';

for (const flavour of engines) {
  test(`O01-O03: the engine adapter's live tests on ${flavour.name}`, { skip: flavour.skip || Registry.skip }, async (t) => {
    const [engine, registry] = await Promise.all([flavour.start(t), Registry.start(t)]);
    const env = { ...process.env, HB_TEST_DOCKER_HOST: engine.host, HB_TEST_REGISTRY: registry.address, CMOCKA_MESSAGE_OUTPUT: 'STDOUT' };
    const run = Process.start(join(dirname(binary), 'tests/unit/docker/test_docker_live'), [], { env });
    const exit = await run.wait(300_000);
    assert.equal(exit.code, 0, run.output);
    assert.match(run.stdout, /\[ +OK +\]/, 'it ran');
    assert.doesNotMatch(run.stdout, /SKIPPED/);
  });
}
