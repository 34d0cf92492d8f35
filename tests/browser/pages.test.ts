// What holds of every page: it can be read by everybody, on a phone too, by light and by dark, and by keyboard alone.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { AxeResults } from 'axe-core';
import type { Page } from 'playwright-core';
import { noBrowser } from '../support/parts/chromium.ts';
import { dockerOld } from '../support/parts/docker.ts';
import { Registry } from '../support/parts/registry.ts';
import { useRig } from '../support/rig.ts';
import { says, tabTo, useBrowser } from '../support/visit.ts';

const skip = noBrowser || dockerOld.skip || Registry.skip;
const axe = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8');

/** What axe finds that keeps people out, each with the elements. */
async function barriers(page: Page): Promise<string[]> {
  await page.evaluate(axe);
  const { violations } = (await page.evaluate('axe.run(document, { resultTypes: ["violations"] })')) as AxeResults;
  const grave = violations.filter((v) => v.impact === 'serious' || v.impact === 'critical');
  return grave.map((v) => `${v.id}: ${v.help}: ${v.nodes.map((n) => `${n.target.join(' ')} ${n.any[0]?.message ?? ''}`).join('; ')}`);
}

const tooWide = (page: Page): Promise<number> => page.evaluate(() => Math.max(0, document.documentElement.scrollWidth - document.documentElement.clientWidth));

/** Until the page has all that it asked for; charts ask when they are first seen. */
async function filled(page: Page): Promise<void> {
  await page.locator('main h1').waitFor();
  await page.evaluate(async () => {
    for (const section of document.querySelectorAll('main section')) {
      section.scrollIntoView();
      await new Promise(requestAnimationFrame);
    }
    window.scrollTo(0, 0);
  });
  await page.locator('.animate-pulse, [aria-label="Loading"]').first().waitFor({ state: 'detached' });
}

suite('every page', { skip }, () => {
  const rig = useRig(dockerOld, { env: { HBCLOUD_METRICS_INTERVAL: '1s' } });
  const visits = useBrowser();
  const ids: Record<string, string> = {};

  before(async () => {
    const image = await rig.demo('1');
    const service = await rig.serve('journal', image, { container: { image, environment: { GREETING: 'hello' } } });
    const failed = await rig.deploy('mail-archive-of-a-family-with-a-long-name', image, { container: { image, environment: { CRASH: '1' } } });
    const { nodes } = await rig.hub.ok('GET', '/infrastructure/nodes');
    Object.assign(ids, { node: nodes[0]!.id, service: service.id, failed: failed.id });
  });

  const pages = ['/login', '/dashboard', '/nodes', '/nodes/{node}', '/services', '/services/{service}', '/services/new', '/deployments', '/deployments/{failed}',
    '/settings/keys', '/settings/secrets', '/settings/registries', '/settings/volumes', '/settings/ci', '/settings/jobs', '/routes', '/settings/audit', '/settings/config', '/settings/integrations', '/settings/session', '/nowhere'];
  for (const pattern of pages) {
    test(`${pattern} keeps nobody out, wide and light or on a dark phone, and scrolls only down`, async () => {
      const path = pattern.replace(/\{(\w+)\}/, (_, name: string) => ids[name]!);
      await visits.visit(rig.hub, { path, colorScheme: 'light', ...(path === '/login' && { key: null }) }, async (page) => {
        await filled(page);
        assert.deepEqual(await barriers(page), [], 'wide and light');
        assert.equal(await tooWide(page), 0, 'wide');
        await page.emulateMedia({ colorScheme: 'dark' });
        await page.setViewportSize({ width: 390, height: 844 });
        await page.locator('[data-theme=dark]').waitFor();
        assert.deepEqual(await barriers(page), [], 'on a dark phone');
        assert.equal(await tooWide(page), 0, 'on a phone');
      });
    });
  }

  test('from the login to a running service without a pointer', async () => {
    await visits.visit(rig.hub, { key: null, path: '/login' }, async (page) => {
      const into = async (testId: string, text: string): Promise<void> => {
        await tabTo(page, page.getByTestId(testId));
        await page.keyboard.press('Control+A');
        await page.keyboard.type(text);
      };
      await page.locator('input:focus').waitFor();
      await page.keyboard.type(rig.hub.key!);
      await page.keyboard.press('Enter');
      await tabTo(page, page.getByTestId('deploy-service-button'));
      await page.keyboard.press('Enter');
      await into('service-name', 'by-keyboard');
      await into('service-image', await rig.demo('1'));
      await into('service-port', '8080');
      await tabTo(page, page.getByTestId('deploy-submit'));
      await page.keyboard.press('Enter');
      await says(page.getByTestId('deployment-status'), 'completed', 60_000);
      await tabTo(page, page.getByTestId('service-url'));
    });
  });

  test('the API reference is shown without asking anybody else', async () => {
    await visits.visit(rig.hub, { path: '/docs' }, async (page) => {
      await page.getByText('Deployments', { exact: true }).click();
      await page.getByText('List deployment events').first().waitFor();
    });
  });
});
