/* Pictures of every page, light and dark, wide and narrow, from a running hub: HBCLOUD_URL=… HBCLOUD_API_KEY=… npm run shots */
import { mkdirSync } from 'node:fs';
import { chromium, type Browser } from 'playwright-core';

const url = process.env.HBCLOUD_URL ?? 'http://127.0.0.1:3000';
const apiKey = process.env.HBCLOUD_API_KEY ?? 'mock';
const only = process.argv.slice(2);
const out = 'shots';
const SIZES = { wide: { width: 1360, height: 900 }, phone: { width: 390, height: 844 } };

async function paths(browser: Browser): Promise<Record<string, string>> {
  const page = await browser.newPage();
  await page.goto(`${url}/login`);
  await page.request.post(`${url}/v1/sessions`, { data: { apiKey } });
  const first = async (path: string, list: string, pick = 0) => {
    const reply = await (await page.request.get(`${url}/v1${path}`)).json();
    return reply[list][Math.min(pick, reply[list].length - 1)]?.id as string | undefined;
  };
  const [node, service, deployment] = [await first('/infrastructure/nodes', 'nodes'), await first('/services', 'services'), await first('/deployments', 'deployments')];
  await page.close();
  return {
    overview: '/dashboard', nodes: '/nodes', services: '/services', deploy: '/services/new', deployments: '/deployments',
    ...(node && { node: `/nodes/${node}` }), ...(service && { service: `/services/${service}` }), ...(deployment && { deployment: `/deployments/${deployment}` }),
    keys: '/settings/keys', secrets: '/settings/secrets', registries: '/settings/registries', jobs: '/settings/jobs', volumes: '/settings/volumes', ci: '/settings/ci', routes: '/routes', audit: '/settings/audit', config: '/settings/config', integrations: '/settings/integrations', session: '/settings/session', missing: '/nowhere',
  };
}

mkdirSync(out, { recursive: true });
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--headless', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
const pages = await paths(browser);
for (const [size, viewport] of Object.entries(SIZES)) {
  for (const scheme of ['light', 'dark'] as const) {
    const context = await browser.newContext({ viewport, colorScheme: scheme, reducedMotion: 'reduce' });
    const page = await context.newPage();
    page.on('console', (m) => { if (m.type() === 'error' || m.type() === 'warning') console.log(`${size} ${scheme} ${page.url()}: ${m.text()}`); });
    page.on('pageerror', (e) => console.log(`${size} ${scheme} ${page.url()}: ${e.message}`));
    page.on('request', (r) => { if (!r.url().startsWith(url) && !r.url().startsWith('data:')) console.log(`outside request: ${r.url()}`); });
    await page.goto(`${url}/login`);
    await page.locator('main h1').waitFor();
    if (only.length === 0 || only.includes('login')) await page.screenshot({ path: `${out}/login-${size}-${scheme}.png` });
    await page.request.post(`${url}/v1/sessions`, { data: { apiKey } });
    for (const [name, path] of Object.entries(pages)) {
      if (only.length > 0 && !only.includes(name)) continue;
      await page.goto(url + path);
      await page.locator('main h1').waitFor();
      await page.waitForTimeout(300);
      await page.evaluate(async () => {
        for (let y = 0; y < document.documentElement.scrollHeight; y += 500) {
          window.scrollTo(0, y);
          await new Promise((done) => setTimeout(done, 50));
        }
        window.scrollTo(0, 0);
      });
      await page.locator('main [aria-label="Loading"], main .animate-pulse').first().waitFor({ state: 'detached', timeout: 5000 }).catch(() => undefined);
      await page.waitForTimeout(500);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (overflow > 0) console.log(`${size} ${scheme} ${path}: ${overflow}px too wide`);
      await page.screenshot({ path: `${out}/${name}-${size}-${scheme}.png`, fullPage: true });
    }
    await context.close();
  }
}
await browser.close();
