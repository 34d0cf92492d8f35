// The seed's browser test by its own test ids: a service from the dashboard to its address, with a real engine, Caddy and Consul.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { Caddy, useCaddy } from '../support/parts/caddy.ts';
import { noBrowser } from '../support/parts/chromium.ts';
import { Consul, useConsul } from '../support/parts/consul.ts';
import { dockerOld } from '../support/parts/docker.ts';
import { Registry } from '../support/parts/registry.ts';
import { useRig } from '../support/rig.ts';
import { open, says, useBrowser } from '../support/visit.ts';

const skip = noBrowser || dockerOld.skip || Registry.skip || Caddy.skip || Consul.skip;

suite('infrastructure management', { skip }, () => {
  const caddy = useCaddy(), consul = useConsul();
  const rig = useRig(dockerOld, () => ({ env: { ...caddy.hubEnv, HBCLOUD_DOMAIN: 'localhost', CONSUL_HTTP_ADDR: consul.address } }));
  const visits = useBrowser();

  test('complete service deployment workflow', async () => {
    const image = await rig.demo('1');
    await visits.visit(rig.hub, {}, async (page) => {
      // What nobody has configured says so.
      for (const vendor of ['datadog', 'newrelic', 'sentry']) await says(page.getByTestId(`${vendor}-status`), 'not configured');
      await page.getByTestId('deploy-service-button').click();
      await page.getByTestId('service-name').fill('test-service-e2e');
      const { nodes } = await rig.hub.ok('GET', '/infrastructure/nodes');
      await page.getByTestId('target-node').selectOption({ label: nodes[0]!.name });
      await page.getByTestId('service-image').fill(image);
      await page.getByTestId('service-port').fill('8080');
      await page.getByText('Health, domains, variables').click();
      await page.getByLabel('Domains').fill('test-service-e2e.localhost'); // a name that every browser finds on this machine
      await page.getByTestId('deploy-submit').click();
      await says(page.getByTestId('deployment-status'), 'completed', 60_000);

      const address = (await page.getByTestId('service-url').innerText()).trim();
      assert.equal(address, `http://test-service-e2e.localhost:${caddy.port}`, 'the route’s address, not the container’s');
      const visitor = await page.context().newPage();
      const reply = (await open(visitor, `${address}/version`)) as { status(): number; text(): Promise<string> } | null;
      assert.deepEqual([reply?.status(), (await reply!.text()).trim()], [200, '1']);
      await visitor.close();

      await says(page.getByTestId('service-health'), 'healthy');
      await says(page.getByTestId('consul-registered'), 'registered');
    });
    const found = await consul.instances('test-service-e2e', { passing: true });
    assert.equal(found.length, 1, 'Consul itself says so');
  });
});
