// A real browser, driven by Playwright. It makes no request of its own beyond the pages that tests open.
import { chromium, type Browser, type Page } from 'playwright-core';
import { part } from './part.ts';

const installed = part('chromium');
export const noBrowser = installed.skip;

const flags = [
  '--no-sandbox',
  '--headless',
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: `${installed.dir}/bin/chromium`, args: flags });
}

/** Opens a session for the page with the hub's owner key, as the login form does. */
export async function logIn(page: Page, hub: { url: string; key: string | undefined }): Promise<void> {
  const reply = await page.context().request.post(`${hub.url}/v1/sessions`, { data: { apiKey: hub.key } });
  if (reply.status() !== 201) throw new Error(`log in: ${reply.status()} ${await reply.text()}`);
}
