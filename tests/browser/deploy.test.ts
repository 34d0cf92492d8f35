// A service from the form to its address, and deployments that do not come to serve.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Page } from 'playwright-core';
import { noBrowser } from '../support/parts/chromium.ts';
import { dockerOld } from '../support/parts/docker.ts';
import { Registry } from '../support/parts/registry.ts';
import { text, useRig } from '../support/rig.ts';
import { says, useBrowser } from '../support/visit.ts';

const skip = noBrowser || dockerOld.skip || Registry.skip;

async function fill(page: Page, name: string, image: string, port = '8080'): Promise<void> {
  await page.getByTestId('service-name').fill(name);
  await page.getByTestId('service-image').fill(image);
  await page.getByTestId('service-port').fill(port);
}

suite('deploying in the browser', { skip }, () => {
  const rig = useRig(dockerOld);
  const visits = useBrowser();

  test('the complete way of a service: form, live progress, address, health', async () => {
    const image = await rig.demo('1');
    await visits.visit(rig.hub, {}, async (page) => {
      for (const vendor of ['datadog', 'newrelic', 'sentry']) await says(page.getByTestId(`${vendor}-status`), 'not configured');
      await page.getByTestId('deploy-service-button').click();
      const { nodes } = await rig.hub.ok('GET', '/infrastructure/nodes');
      await page.getByTestId('target-node').selectOption(nodes[0]!.id);
      await page.getByTestId('target-node').selectOption({ label: nodes[0]!.name });
      await fill(page, 'test-service-e2e', image);
      await page.getByTestId('deploy-submit').click();
      await says(page.getByTestId('deployment-status'), 'completed', 60_000);
      const address = await page.getByTestId('service-url').innerText();
      assert.equal((await fetch(address)).status, 200);
      await says(page.getByTestId('service-health'), 'healthy');
      await page.getByTestId('consul-registered').waitFor();
    });
  });

  test('what the program said before it crashed is the cause on the page', async () => {
    const image = await rig.demo('1');
    await visits.visit(rig.hub, { path: '/services/new' }, async (page) => {
      await fill(page, 'crasher', image);
      await page.getByText('Health, domains, variables').click();
      await page.getByLabel('Environment variables').fill('CRASH=1');
      await page.getByTestId('deploy-submit').click();
      await says(page.getByTestId('deployment-status'), 'failed', 60_000);
      await page.getByRole('alert').filter({ hasText: /status 1.*told to crash/ }).waitFor();
    });
  });

  test('O17 dollar signs in the form’s values arrive literally in the container', async () => {
    const image = await rig.demo('1');
    const values = { A: 'pa$$word', B: 'abc$def', C: '$2y$10$abcdefghijklmnopqrstuv', D: "${A:-x} 'q' \"q\" \\n=#" };
    await visits.visit(rig.hub, { path: '/services/new' }, async (page) => {
      await fill(page, 'dollars', image);
      await page.getByText('Health, domains, variables').click();
      await page.getByLabel('Environment variables').fill(Object.entries(values).map(([name, value]) => `${name}=${value}`).join('\n'));
      await page.getByTestId('deploy-submit').click();
      await says(page.getByTestId('deployment-status'), 'completed', 60_000);
      const address = (await page.getByTestId('service-url').innerText()).trim();
      for (const [name, value] of Object.entries(values)) assert.equal(await text(address, `/env?${name}`), value);
    });
  });

  test('an update that fails is told, and the old container goes on serving', async () => {
    const { id } = await rig.serve('steady', await rig.demo('1'));
    await visits.visit(rig.hub, { path: `/services/${id}` }, async (page) => {
      await page.getByRole('button', { name: 'Update' }).click();
      await page.getByLabel('Image').fill(`${rig.registry.address}/demo:absent`);
      await page.getByRole('button', { name: 'Deploy' }).click();
      await says(page.getByTestId('deployment-status'), 'failed', 60_000);
      await page.getByRole('alert').filter({ hasText: /demo:absent/ }).waitFor();
      await says(page.getByTestId('service-health'), 'healthy');
      assert.equal(await text(await page.getByTestId('service-url').innerText()), '1');
    });
  });

  test('a mistake is told at its field, the first has the focus, and nothing is sent', async () => {
    await visits.visit(rig.hub, { path: '/services/new' }, async (page) => {
      page.on('request', (request) => assert.equal(request.method(), 'GET', request.url()));
      await fill(page, 'Not A Name', '', '99999');
      await page.getByTestId('deploy-submit').click();
      const wrong = page.locator('[aria-invalid]');
      await wrong.nth(2).waitFor();
      const told = await wrong.evaluateAll((fields) => fields.map((f) => document.getElementById(f.getAttribute('aria-describedby')!)!.textContent));
      assert.match(told.join('\n'), /^Small letters.*\nSay which image.*\nA port is a number/);
      assert.equal(await page.locator(':focus').getAttribute('data-testid'), 'service-name');
    });
  });

  test('what only the hub can know is told at its field too', async () => {
    await rig.serve('taken', await rig.demo('1'));
    await visits.visit(rig.hub, { path: '/services/new', expected: [/409|422|400/] }, async (page) => {
      await fill(page, 'taken', await rig.demo('1'));
      await page.getByTestId('deploy-submit').click();
      await page.getByRole('alert').filter({ hasText: /taken/ }).first().waitFor();
      await page.getByTestId('service-name').fill('elsewhere');
      await page.getByText('Health, domains, variables').click();
      await page.getByLabel('Volumes').fill('/no/such/folder:/data');
      await page.getByTestId('deploy-submit').click();
      await page.getByRole('alert').filter({ hasText: '/no/such/folder' }).first().waitFor();
    });
  });
});
