import { render, screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { MemoryRouter, Route, Routes, useParams } from 'react-router';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import Deploy from '@/pages/Deploy';
import { forgetEntities } from '@/state/entities';
import { signedIn, signedOut } from '@/state/session';
import { mockError, mockHub, mockInfrastructureNode, mockService, mockSession, type Call } from './mocks';

const attic = mockInfrastructureNode({ id: 'n-attic', name: 'attic' });
const spoke = mockInfrastructureNode({ id: 'n-spoke', name: 'digitalocean-spoke-01', type: 'spoke' });
const system = { version: '1', startedAt: '', hubNodeId: 'n-attic', dataDirectory: '', engine: { available: true }, integrations: [], problems: [] };

function Landed() {
  return <p>following {useParams().id}</p>;
}
const show = () => render(
  <MemoryRouter initialEntries={['/services/new']}>
    <Routes><Route path="/services/new" element={<Deploy />} /><Route path="/deployments/:id" element={<Landed />} /></Routes>
  </MemoryRouter>,
);
const reads = ({ path, method }: Call) => {
  if (method !== 'GET') return undefined;
  if (path === '/v1/system') return { body: { system } };
  return path === '/v1/infrastructure/nodes' ? { body: { nodes: [attic, spoke], metadata: { total: 2, active: 2, monitoring_integrated: 0 } } } : undefined;
};

beforeEach(() => {
  forgetEntities();
  signedIn(mockSession());
});
afterEach(() => {
  signedOut();
  vi.unstubAllGlobals();
});

describe('the deploy page', () => {
  it('deploys by name and node alone and follows the deployment', async () => {
    const calls = mockHub((c) => reads(c) ?? { status: 201, body: { deployment_id: 'd-1', service_instance: mockService(), monitoring_setup: {} } });
    show();
    const select = screen.getByTestId('target-node');
    await within(select).findByRole('option', { name: 'digitalocean-spoke-01' });
    await waitFor(() => expect(select).toHaveValue('n-attic'));
    await userEvent.type(screen.getByTestId('service-name'), 'test-service-e2e');
    await userEvent.selectOptions(select, 'digitalocean-spoke-01');
    await userEvent.click(screen.getByTestId('deploy-submit'));
    expect(await screen.findByText('following d-1')).toBeInTheDocument();
    const post = calls.find((c) => c.method === 'POST');
    expect(post?.body).toMatchObject({ name: 'test-service-e2e', nodeId: 'n-spoke', container: { image: 'nginx:alpine' }, networking: { internalPort: 80 } });
    expect(post?.headers.get('Idempotency-Key')).toMatch(/^[0-9a-f]{32}$/);
  });

  it('sends nothing while the form is wrong, and leads to the field', async () => {
    const calls = mockHub(reads);
    show();
    await userEvent.clear(screen.getByTestId('service-image'));
    await userEvent.click(screen.getByTestId('deploy-submit'));
    expect(await screen.findByText(/Say which image/)).toBeInTheDocument();
    expect(screen.getByTestId('service-name')).toHaveAttribute('aria-invalid', 'true');
    expect(screen.getByTestId('service-name')).toHaveFocus();
    expect(calls.some((c) => c.method === 'POST')).toBe(false);
  });

  it('shows what the hub refused at its field, with the request id, and repeats under the same key', async () => {
    const calls = mockHub((c) => reads(c) ?? { status: 409, body: mockError('CONFLICT', 'A service named hello exists.', { '/body/name': 'is taken' }) });
    show();
    await userEvent.type(screen.getByTestId('service-name'), 'hello');
    await userEvent.click(screen.getByTestId('deploy-submit'));
    expect(await screen.findByText('A service named hello exists.')).toBeInTheDocument();
    expect(screen.getByText('is taken')).toBeInTheDocument();
    expect(screen.getByText('request req-1')).toBeInTheDocument();
    await userEvent.click(screen.getByTestId('deploy-submit'));
    await waitFor(() => expect(calls.filter((c) => c.method === 'POST')).toHaveLength(2));
    const keys = calls.filter((c) => c.method === 'POST').map((c) => c.headers.get('Idempotency-Key'));
    expect(keys[0]).toBe(keys[1]);
  });

  it('lets a viewer look only', async () => {
    signedIn(mockSession({ role: 'viewer' }));
    mockHub(reads);
    show();
    expect(screen.getByTestId('deploy-submit')).toBeDisabled();
  });
});
