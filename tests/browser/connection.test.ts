// What the page says when the hub, an engine or a right is missing.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startHub } from '../support/hub.ts';
import { noBrowser } from '../support/parts/chromium.ts';
import { live, open, says, useBrowser } from '../support/visit.ts';

const skip = noBrowser;
const visits = skip ? undefined! : useBrowser();
const cutOff = [/ERR_CONNECTION_REFUSED/, /ERR_INCOMPLETE_CHUNKED_ENCODING/, /ERR_EMPTY_RESPONSE/, /ERR_CONNECTION_RESET/];

test('a hub that is killed is told on the page; back again, the page recovers by itself', { skip }, async (t) => {
  const hub = await startHub(t);
  await visits.visit(hub, { path: '/nodes', expected: cutOff }, async (page) => {
    await live(page);
    await page.getByText('1 machine').waitFor();
    await page.evaluate(() => document.body.setAttribute('data-never-loaded-again', ''));
    await hub.kill9();
    await page.getByText('Not connected to the hub. What you see may be old.').waitFor();
    assert.ok(await page.getByText('1 machine').isVisible(), 'what was known is still there');
    await hub.restart();
    await live(page, 30_000);
    await page.getByText('Not connected to the hub').waitFor({ state: 'detached' });
    await hub.ok('POST', '/infrastructure/nodes', { body: { name: 'born-later', type: 'spoke', provider: 'local', region: 'attic' } });
    await page.getByRole('link', { name: 'born-later' }).waitFor();
    assert.equal(await page.locator('[data-never-loaded-again]').count(), 1);
  });
});

test('without an engine the rest works, and the page says how to get one', { skip }, async (t) => {
  const hub = await startHub(t);
  await visits.visit(hub, {}, async (page) => {
    const problem = page.getByRole('listitem').filter({ hasText: 'No container engine answers on this machine' });
    await says(problem, /apt install docker\.io/);
    await page.getByRole('link', { name: 'All metrics' }).click();
    await page.getByRole('img', { name: /^CPU\. / }).waitFor();
    await open(page, `${hub.url}/services/new`);
    await says(page.getByRole('main').getByRole('status'), /engine|Docker/i);
  });
});

const writes = /deploy|add node|new key|forget|stop|start|restart|remove|update|adopt|revoke|^add$/i;

test('a viewer sees everything of the cloud and no control that would be refused', { skip }, async (t) => {
  const hub = await startHub(t);
  const { secret } = await hub.ok('POST', '/keys', { body: { name: 'guest', role: 'viewer' } });
  const { nodes } = await hub.ok('GET', '/infrastructure/nodes');
  await visits.visit(hub, { key: secret, path: null }, async (page) => {
    for (const path of ['/dashboard', '/nodes', `/nodes/${nodes[0]!.id}`, '/services', '/deployments', '/settings']) {
      await open(page, hub.url + path);
      await page.locator('main h1').waitFor();
      await page.waitForLoadState('networkidle').catch(() => {});
      assert.equal(await page.getByRole('main').getByRole('button', { name: writes }).count(), 0, path);
      assert.equal(await page.getByRole('main').getByRole('link', { name: /deploy (service|one)/i }).count(), 0, path);
    }
    assert.deepEqual(await page.getByRole('tab').allInnerTexts(), ['Secrets', 'Registries', 'Volumes', 'CI', 'Jobs', 'Integrations', 'Session']);
    await open(page, `${hub.url}/services/new`);
    await page.getByText('Your role may look, not deploy.').waitFor();
    assert.ok(await page.getByTestId('deploy-submit').isDisabled());
  });
});
