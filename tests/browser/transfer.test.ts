// How much a first visit loads, and how it is served.
import assert from 'node:assert/strict';
import { get, type IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { startHub } from '../support/hub.ts';
import { noBrowser } from '../support/parts/chromium.ts';
import { live, useBrowser } from '../support/visit.ts';

const skip = noBrowser;
const visits = skip ? undefined! : useBrowser();
const mostFirstLoad = 150 * 1024;

/** The bytes of a reply as they travel, with its headers. */
function sent(url: string): Promise<{ bytes: number; headers: IncomingMessage['headers'] }> {
  return new Promise((resolve, reject) => {
    get(url, { headers: { accept: 'text/html, */*', 'accept-encoding': 'gzip' } }, (reply) => {
      let bytes = 0;
      reply.on('data', (chunk: Buffer) => (bytes += chunk.length));
      reply.on('end', () => resolve({ bytes, headers: reply.headers }));
      reply.on('error', reject);
    }).on('error', reject);
  });
}

test('the first load is small, its assets are kept for good, and only own scripts may run', { skip }, async (t) => {
  const hub = await startHub(t);
  await visits.visit(hub, { path: null }, async (page) => {
    const urls = new Set<string>();
    page.on('request', (r) => !r.url().includes('/v1/') && urls.add(r.url()));
    await page.goto(`${hub.url}/dashboard`);
    await live(page);
    const files = await Promise.all([...urls].map(async (url) => ({ url, ...(await sent(url)) })));
    const total = files.reduce((sum, file) => sum + file.bytes, 0);
    assert.ok(files.length > 4 && total <= mostFirstLoad, `${total} bytes in ${files.length} files`);
    for (const { url, headers } of files.filter((file) => file.url.includes('/assets/'))) {
      assert.match(headers['cache-control']!, /max-age=31536000.*immutable/, url);
      assert.match(headers['content-encoding'] ?? 'none', /gzip/, url);
    }
    const policy = files.find((file) => file.url.endsWith('/dashboard'))!.headers['content-security-policy'] as string;
    const scripts = policy.split('; ').find((part) => part.startsWith('script-src'))!;
    assert.ok(/default-src 'self'/.test(policy) && !/unsafe|https?:/.test(scripts), policy);
  });
});

test('a second visit loads no asset again', { skip }, async (t) => {
  const hub = await startHub(t);
  await visits.visit(hub, { path: '/dashboard' }, async (page) => {
    await live(page);
    await page.goto(`${hub.url}/dashboard`);
    await live(page);
    const loaded = await page.evaluate(() => (performance.getEntriesByType('resource') as PerformanceResourceTiming[]).map((e) => ({ name: e.name, bytes: e.transferSize })));
    const assets = loaded.filter((file) => file.name.includes('/assets/'));
    assert.ok(assets.length > 4);
    assert.deepEqual(assets.filter((file) => file.bytes > 0), []);
  });
});
