// The README's picture: a hub with a real engine and real services, looked at in a real browser.
//   ./dev screenshot [FILE.png] [PATH of the page] [light|dark]
import { demoImage } from './images.ts';
import { Hub } from './hub.ts';
import { launch, logIn } from './parts/chromium.ts';
import { dockerOld, Engine } from './parts/docker.ts';
import { Registry } from './parts/registry.ts';
import { waitFor } from './wait.ts';

const [file = 'docs/dashboard.png', path = '/dashboard', colours = 'light'] = process.argv.slice(2);
const services = ['journal', 'photos', 'wiki', 'mail-archive'];

async function deploy(hub: Hub, reference: string, name: string): Promise<void> {
  const body = { name, container: { image: reference }, networking: { internalPort: 8080 } };
  const { deployment_id } = await hub.ok('POST', '/services', { body });
  await completed(hub, name, deployment_id);
}

async function update(hub: Hub, reference: string, name: string): Promise<void> {
  const reply = await hub.ok('PATCH', '/services/{serviceId}', { params: { serviceId: name }, body: { container: { image: reference } } });
  await completed(hub, name, reply.deployment_id);
}

async function completed(hub: Hub, name: string, deployment_id: string): Promise<void> {
  await waitFor(
    async () => (await hub.ok('GET', '/deployments/{deploymentId}', { params: { deploymentId: deployment_id } })).deployment.status.state === 'completed',
    { timeout: 60_000, what: `the deployment of ${name}` },
  );
}

/** Until the hub itself says that it has enough for lines: a minute of points. */
async function charted(hub: Hub): Promise<void> {
  const query = { name: 'load.1', step: '15s' } as const;
  const points = async (): Promise<number> => {
    const { series } = await hub.ok('GET', '/monitoring/query', { query });
    return series[0]?.points.filter(([, value]) => value !== null).length ?? 0;
  };
  await waitFor(async () => (await points()) >= 5, { timeout: 120_000, every: 1000, what: 'a minute of metrics' });
}

async function take(hub: Hub): Promise<void> {
  const browser = await launch();
  try {
    const context = await browser.newContext({ viewport: { width: 1360, height: 905 }, colorScheme: colours === 'dark' ? 'dark' : 'light' });
    const page = await context.newPage();
    await logIn(page, hub);
    await page.goto(hub.url + path);
    if (!dockerOld.skip) await page.getByText(services[0]!).first().waitFor();
    await page.getByRole('img', { name: /^CPU over/ }).waitFor();
    await page.screenshot({ path: file });
  } finally {
    await browser.close();
  }
}

const ends: (() => Promise<void>)[] = [];
try {
  const registry = dockerOld.skip ? undefined : await Registry.start();
  const engine = dockerOld.skip ? undefined : await Engine.start(dockerOld);
  if (registry) ends.unshift(() => registry.stop());
  if (engine) ends.unshift(() => engine.stop());
  const hub = await Hub.start({ dockerHost: engine?.host, env: { HBCLOUD_VALIDATE_REPLIES: '0', HBCLOUD_METRICS_INTERVAL: '1s' } });
  ends.unshift(() => hub.discard());
  if (registry) {
    const { reference } = await registry.push('demo', '1', demoImage());
    for (const name of services) await deploy(hub, reference, name);
    await update(hub, (await registry.push('demo', '2', demoImage({ version: '2' }))).reference, services[1]!);
  }
  await charted(hub);
  await take(hub);
  console.log(`wrote ${file}`);
} finally {
  for (const end of ends) await end();
}
