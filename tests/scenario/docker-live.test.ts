// The adapter's own C tests (tests/unit/docker/live.h) against the real engines; by themselves they skip.
import assert from 'node:assert/strict';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { binary } from '../support/hub.ts';
import { shellImage } from '../support/images.ts';
import { engines } from '../support/parts/docker.ts';
import { Registry } from '../support/parts/registry.ts';
import { Process } from '../support/process.ts';

const login = { user: 'deployer', password: 'pull-"secret"-123' };

async function passes(program: string, env: Record<string, string>): Promise<void> {
  const path = join(dirname(binary), 'tests/unit/docker', program);
  const run = Process.start(path, [], { env: { ...process.env, ...env, CMOCKA_MESSAGE_OUTPUT: 'STDOUT' } });
  const exit = await run.wait(300_000);
  assert.equal(exit.code, 0, run.output);
  assert.match(run.stdout, /\[ +OK +\]/, 'it ran');
  assert.doesNotMatch(run.stdout, /SKIPPED/);
}

for (const flavour of engines) {
  test(`O01-O03: the engine adapter's live tests on ${flavour.name}`, { skip: flavour.skip || Registry.skip }, async (t) => {
    const [engine, registry] = await Promise.all([flavour.start(t), Registry.start(t)]);
    await passes('test_docker_live', { HB_TEST_DOCKER_HOST: engine.host, HB_TEST_REGISTRY: registry.address });
  });

  test(`volumes, networks, files, images and a registry's login on ${flavour.name}`, { skip: flavour.skip || Registry.skip }, async (t) => {
    const [engine, registry] = await Promise.all([flavour.start(t), Registry.start(t, { login })]);
    const { reference } = await registry.push('private/app', '1', shellImage('true'));
    await passes('test_docker_objects', {
      HB_TEST_DOCKER_HOST: engine.host,
      HB_TEST_PRIVATE_IMAGE: reference,
      HB_TEST_PRIVATE_LOGIN: `${login.user}:${login.password}`,
    });
  });
}
