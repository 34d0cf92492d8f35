// Visits of the dashboard: pages that are watched for what none of them may cause, whatever the test itself looks at:
// an error on the console, an exception, a breach of the content security policy, a request to another host than the hub's.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core';
import { launch, logIn } from './parts/chromium.ts';
import { waitFor } from './wait.ts';

export interface VisitOptions extends BrowserContextOptions {
  /** Opened first; null leaves the page blank. */
  path?: string | null;
  /** Whose API key opens the session: the hub's owner's, another, or null for a visitor who is not signed in. */
  key?: string | null;
  /** Console errors that this visit is about, such as a refusal. */
  expected?: RegExp[];
}

interface Place {
  url: string;
  key: string | undefined;
}

/** That there is no session yet is found out by asking, and Chromium prints every refusal. It also cancels requests when
 *  an interface of the machine comes or goes, as it does with each container here. */
const always = [/401 .*\/v1\/sessions\/current/, /ERR_NETWORK_CHANGED/];

/** All that the page does that no page should. */
function watch(page: Page, home: string): string[] {
  const problems: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') problems.push(`${message.text()} ${message.location().url}`);
  });
  page.on('pageerror', (error) => problems.push(`exception: ${error.message}`));
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (url.protocol !== 'data:' && url.origin !== home) problems.push(`a request to another place: ${request.url()}`);
  });
  return problems;
}

export class Visits {
  browser!: Browser;

  /** A browser profile of its own for the time of `act`. */
  async visit(hub: Place, options: VisitOptions, act: (page: Page) => Promise<void>): Promise<void> {
    const { path = '/dashboard', key = hub.key, expected = [], ...rest } = options;
    const context = await this.browser.newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: 'reduce', ...rest });
    context.setDefaultTimeout(15_000);
    const page = await context.newPage();
    const problems = watch(page, new URL(hub.url).origin);
    try {
      if (key !== null) await logIn(page, { url: hub.url, key });
      if (path !== null) await open(page, hub.url + path);
      await act(page);
    } catch (error) {
      throw new Error(`${(error as Error).message}\nat ${page.url()}, which said:\n${await said(page)}\n${problems.join('\n')}`, { cause: error });
    } finally {
      await context.close();
    }
    const allowed = [...always, ...expected];
    assert.deepEqual(problems.filter((problem) => !allowed.some((pattern) => pattern.test(problem))), []);
  }
}

/** Opens a page, once more where an interface that came or went cut it off. */
export function open(page: Page, url: string): Promise<unknown> {
  return page.goto(url).catch((error: Error) => {
    if (!/ERR_NETWORK_CHANGED/.test(error.message)) throw error;
    return page.goto(url);
  });
}

/** What a failed visit had on the screen. */
const said = (page: Page): Promise<string> => page.locator('body').innerText({ timeout: 2000 }).then((text) => text.slice(0, 1500), () => '(nothing)');

/** One browser for the tests of a file; each visit has a profile of its own. */
export function useBrowser(): Visits {
  const visits = new Visits();
  before(async () => {
    visits.browser = await launch();
  });
  after(() => visits.browser?.close());
  return visits;
}

/** Until changes arrive as they happen. */
export function live(page: Page, timeout = 15_000): Promise<void> {
  return page.getByText('Live', { exact: true }).filter({ visible: true }).waitFor({ timeout });
}

/** Waits until the element says this, all of it where it is a text. */
export async function says(locator: Locator, wanted: string | RegExp, timeout = 15_000): Promise<string> {
  const look = async (): Promise<string | false> => {
    const text = (await locator.innerText({ timeout: 1000 })).trim();
    return (typeof wanted === 'string' ? text === wanted : wanted.test(text)) && text;
  };
  return waitFor(look, { timeout, what: `${String(locator)} saying ${String(wanted)}` });
}

/** Goes on by Tab alone until the element has the focus. */
export async function tabTo(page: Page, goal: Locator): Promise<void> {
  await goal.waitFor();
  for (let presses = 0; presses < 60; presses++) {
    if (await goal.evaluate((element) => element === document.activeElement)) return;
    await page.keyboard.press('Tab');
  }
  throw new Error(`no way by Tab to ${String(goal)}`);
}
