// The machine and its services on their pages: live charts, logs, acts, deep links.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Locator, Page } from 'playwright-core';
import { importChanges, shellImage } from '../support/images.ts';
import { noBrowser } from '../support/parts/chromium.ts';
import { dockerOld } from '../support/parts/docker.ts';
import { Registry } from '../support/parts/registry.ts';
import { serviceThat, useRig } from '../support/rig.ts';
import { open, says, useBrowser } from '../support/visit.ts';
import { waitFor } from '../support/wait.ts';

const skip = noBrowser || dockerOld.skip || Registry.skip;

async function confirm(page: Page, act: string, name: string): Promise<void> {
  const button = page.getByRole('dialog').getByRole('button', { name: act, exact: true });
  await page.getByRole('dialog').getByLabel(/to confirm/).fill(name.slice(1));
  assert.ok(await button.isDisabled(), 'another name does not do');
  await page.getByRole('dialog').getByLabel(/to confirm/).fill(name);
  await button.click();
}

const badge = (page: Page, state: string): Locator => page.locator('main header').getByText(state, { exact: true });

suite('the machine and its services in the browser', { skip }, () => {
  const rig = useRig(dockerOld, { env: { HBCLOUD_METRICS_INTERVAL: '1s' } });
  const visits = useBrowser();

  async function hubNode(): Promise<{ id: string; name: string }> {
    const { nodes } = await rig.hub.ok('GET', '/infrastructure/nodes');
    return nodes[0]!;
  }

  test('a chart of the machine moves by itself and its ranges change', async () => {
    const { id, name } = await hubNode();
    await visits.visit(rig.hub, { path: `/nodes/${id}` }, async (page) => {
      await page.getByRole('heading', { name }).waitFor();
      await page.evaluate(() => document.body.setAttribute('data-never-loaded-again', ''));
      const charts = page.getByRole('img', { name: /^(CPU|Memory|Load)\. .*now \d/ });
      await charts.nth(2).waitFor();
      const values = (): Promise<string> => charts.evaluateAll((all) => all.map((chart) => chart.getAttribute('aria-label')).join('\n'));
      const first = await values();
      await waitFor(async () => (await values()) !== first, { what: 'other values in the charts' });
      for (const [range, step] of [['24h', '5m'], ['7d', '1h'], ['1h', '15s']] as const) {
        const asked = page.waitForRequest((r) => r.url().includes('/monitoring/query') && new URL(r.url()).searchParams.get('step') === step);
        await page.getByRole('group', { name: 'Time range' }).getByText(range, { exact: true }).click();
        await asked;
        await charts.first().waitFor();
      }
      assert.equal(await page.locator('[data-never-loaded-again]').count(), 1);
    });
  });

  test('a container that was there before is shown, and its log is followed', async () => {
    const image = shellImage('i=0; while true; do i=$((i+1)); echo line $i; echo odd $i >&2; sleep 1; done');
    await rig.engine.importImage('chatter:1', image.rootfs, importChanges(image));
    await rig.engine.run('chatter:1', {}, 'chatter');
    await visits.visit(rig.hub, { path: '/services' }, async (page) => {
      await page.getByRole('link', { name: 'chatter' }).click();
      const log = page.getByRole('log', { name: 'Log of the service' });
      await log.getByText('line 1', { exact: true }).waitFor();
      const seen = (await log.innerText()).match(/line/g)!.length;
      await says(log, new RegExp(`line ${seen + 3}\\b`));
      await page.getByRole('group', { name: 'Stream' }).getByText('stderr').click();
      await log.getByText('odd 1', { exact: true }).waitFor();
      assert.equal(await log.getByText(/^line/).count(), 0);
    });
  });

  test('a service is stopped, started and removed, each confirmed by its name where it hurts', async () => {
    const image = await rig.demo('1');
    const { id } = await rig.serve('worker', image, { container: { image, volumes: [{ source: 'worker-data', target: '/data' }] }, networking: { internalPort: 8080, healthCheck: { interval: 1 } } });
    await visits.visit(rig.hub, { path: `/services/${id}` }, async (page) => {
      await page.getByRole('button', { name: 'Stop' }).click();
      await confirm(page, 'Stop', 'worker');
      await badge(page, 'stopped').waitFor();
      await page.getByRole('button', { name: 'Start' }).click();
      await badge(page, 'running').waitFor();
      await serviceThat(rig.hub, 'worker', (s) => s.status.health === 'healthy');
      await page.getByRole('button', { name: 'Remove' }).click();
      assert.equal(await page.getByRole('checkbox', { name: 'worker-data' }).isChecked(), false, 'the volume is kept unless named');
      await confirm(page, 'Remove service', 'worker');
      await page.getByText('worker is removed. Its volumes are kept.').waitFor();
      assert.deepEqual(await rig.containersOf('worker'), []);
      const { Volumes } = await rig.engine.call('GET', '/volumes');
      assert.ok(Volumes.some((v: { Name: string }) => v.Name === 'worker-data'));
    });
  });

  test('addresses of nodes and services open by themselves and after a reload', async () => {
    const node = await hubNode();
    const service = await rig.serve('linked', await rig.demo('1'));
    await visits.visit(rig.hub, { path: null }, async (page) => {
      for (const [path, name] of [[`/nodes/${node.id}`, node.name], [`/services/${service.id}`, 'linked']] as const) {
        await open(page, rig.hub.url + path);
        await page.getByRole('heading', { name, exact: true }).waitFor();
        await open(page, page.url());
        await page.getByRole('heading', { name, exact: true }).waitFor();
      }
    });
  });

  test('an address that is nothing says so and leads on', async () => {
    const path = '/no/such/page';
    await visits.visit(rig.hub, { path }, async (page) => {
      await page.getByRole('heading', { name: 'Page not found' }).waitFor();
      await page.getByText(path).waitFor();
      await page.getByRole('main').getByRole('link', { name: 'Nodes' }).click();
      await page.getByRole('heading', { name: 'Nodes' }).waitFor();
    });
    await visits.visit(rig.hub, { path: '/services/no-such-service', expected: [/404/] }, async (page) => {
      await says(page.getByRole('alert'), /This service could not be loaded/);
    });
  });
});
