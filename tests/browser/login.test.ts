// Signing in and out, and what a browser keeps of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import { startHub, type Hub } from '../support/hub.ts';
import { noBrowser } from '../support/parts/chromium.ts';
import { useBrowser } from '../support/visit.ts';

const skip = noBrowser;
const visits = skip ? undefined! : useBrowser();
const visitor = { key: null, path: null };

/** As printed on the terminal at the first start. */
function loginLink(hub: Hub): string {
  const link = /http:\S+\/login#token=\S+/.exec(hub.output)?.[0];
  assert.ok(link, hub.output);
  return link;
}

const overview = (page: Page): Promise<void> => page.getByRole('heading', { name: 'Overview' }).waitFor();

test('the printed link signs the owner in, once, and leaves no token behind', { skip }, async (t) => {
  const hub = await startHub(t);
  const link = loginLink(hub);
  const token = new URL(link).hash.slice('#token='.length);
  await visits.visit(hub, visitor, async (page) => {
    const asked: string[] = [];
    page.on('request', (request) => asked.push(request.url()));
    await page.goto(link);
    await overview(page);
    assert.ok(!page.url().includes(token) && asked.every((url) => !url.includes(token)), 'the token is in no address');
    await page.goBack();
    assert.ok(!page.url().includes(token), 'nor in the history');
  });
  await visits.visit(hub, { ...visitor, expected: [/401 .*\/v1\/sessions$/] }, async (page) => {
    await page.goto(link);
    await page.getByRole('alert').filter({ hasText: /used already or is too old/ }).waitFor();
    assert.ok(await page.getByLabel('API key').isEditable(), 'there is another way in');
  });
  assert.equal(hub.output.split(token).length, 2, 'the hub printed it once');
});

test('a key signs in where a wrong one does not, to the page that was asked for', { skip }, async (t) => {
  const hub = await startHub(t);
  await visits.visit(hub, { key: null, path: '/nodes', expected: [/401 .*\/v1\/sessions$/] }, async (page) => {
    await page.getByLabel('API key').fill('hbc_00000000_wrong');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').filter({ hasText: 'This API key is not known' }).waitFor();
    await page.getByLabel('API key').fill(hub.key!);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('heading', { name: 'Nodes' }).waitFor();
    assert.equal(new URL(page.url()).pathname, '/nodes');
  });
});

test('scripts can read neither the session nor the key; the theme alone is stored', { skip }, async (t) => {
  const hub = await startHub(t);
  await visits.visit(hub, { key: null, path: '/login' }, async (page) => {
    await page.getByLabel('API key').fill(hub.key!);
    await page.keyboard.press('Enter');
    await overview(page);
    const [cookie, ...others] = await page.context().cookies();
    assert.deepEqual(others, []);
    assert.ok(cookie!.httpOnly && /Strict|Lax/.test(cookie!.sameSite), JSON.stringify({ ...cookie, value: '' }));
    const hours = (cookie!.expires - Date.now() / 1000) / 3600;
    assert.ok(hours > 23 && hours <= 24, `${hours} h`);
    await page.getByRole('button', { name: /^Theme/ }).click();
    const kept = await page.evaluate(() => ({ local: { ...localStorage }, session: { ...sessionStorage }, cookie: document.cookie }));
    assert.deepEqual(kept, { local: { 'hbcloud-theme': 'light' }, session: {}, cookie: '' });
  });
});

test('signing out ends the session in the hub, not only on the page', { skip }, async (t) => {
  const hub = await startHub(t);
  await visits.visit(hub, { path: '/settings/session' }, async (page) => {
    const [cookie] = await page.context().cookies();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByText('You are signed out.').waitFor();
    const replayed = await hub.raw('GET', '/v1/infrastructure/nodes', { key: null, headers: { cookie: `${cookie!.name}=${cookie!.value}` } });
    assert.equal(replayed.status, 401);
    await page.goto(`${hub.url}/dashboard`);
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  });
});
