import { act, render, screen } from '@testing-library/react';
import { MemoryRouter, Route, Routes } from 'react-router';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { HubEvent } from '@/api/events';
import type { Deployment, Service } from '@/api/types';
import DeploymentDetail from '@/pages/DeploymentDetail';
import { forgetEntities, receive } from '@/state/entities';
import { mockDeployment, mockHub, mockService } from './mocks';

const system = { hubNodeId: 'n', integrations: [{ name: 'consul', configured: false, answering: null }], problems: [], engine: { available: true } };
const told = (type: string, data: Deployment | Service) => act(() => receive({ id: '1', type, at: '', entityType: '', entityId: data.id, data } as HubEvent));

beforeEach(forgetEntities);
afterEach(() => vi.unstubAllGlobals());

describe('following a deployment', () => {
  it('shows state, service and truth about Consul, live', async () => {
    const deployment = mockDeployment();
    const service = mockService({ status: { deployment: 'deploying', health: 'unknown' }, networking: { url: null } });
    mockHub(({ path }) => {
      if (path === `/v1/deployments/${deployment.id}`) return { body: { deployment } };
      if (path === `/v1/services/${service.id}`) return { body: { service } };
      return path === '/v1/system' ? { body: { system } } : undefined;
    });
    render(<MemoryRouter initialEntries={[`/deployments/${deployment.id}`]}><Routes><Route path="/deployments/:id" element={<DeploymentDetail />} /></Routes></MemoryRouter>);

    expect(await screen.findByTestId('deployment-status')).toHaveTextContent(/^initiated$/);
    expect(await screen.findByTestId('service-health')).toHaveTextContent(/^unknown$/);
    expect(screen.queryByTestId('service-url')).not.toBeInTheDocument();
    expect(await screen.findByText('not configured')).toBe(screen.getByTestId('consul-registered'));

    told('deployment.updated', mockDeployment({ status: { state: 'building', progress: 30, step: 'pull', logs: ['pulling the image'] } }));
    expect(screen.getByTestId('deployment-status')).toHaveTextContent(/^building$/);
    expect(screen.getByRole('progressbar', { name: 'Progress' })).toHaveAttribute('aria-valuenow', '30');
    expect(screen.getByText('pulling the image')).toBeInTheDocument();

    told('service.updated', mockService());
    told('deployment.updated', mockDeployment({ status: { state: 'completed', progress: 100 }, timing: { duration: 5000, phases: [{ name: 'pull', duration: 3000, status: 'success' }] } }));
    expect(screen.getByTestId('deployment-status')).toHaveTextContent(/^completed$/);
    expect(screen.getByTestId('service-url')).toHaveTextContent(/^http:\/\/127.0.0.1:32768$/);
    expect(screen.getByTestId('service-health')).toHaveTextContent(/^healthy$/);
  });

  it('says in one sentence why it failed', async () => {
    const deployment = mockDeployment({ status: { state: 'failed', progress: 20, message: 'docker.io does not know nope:1.' } });
    mockHub(({ path }) => (path.startsWith('/v1/deployments/') ? { body: { deployment } } : path === '/v1/system' ? { body: { system } } : { status: 404, body: { error: { code: 'NOT_FOUND', message: 'gone', timestamp: '', requestId: 'r', monitoring: {} } } }));
    render(<MemoryRouter initialEntries={[`/deployments/${deployment.id}`]}><Routes><Route path="/deployments/:id" element={<DeploymentDetail />} /></Routes></MemoryRouter>);
    expect(await screen.findByRole('alert')).toHaveTextContent('docker.io does not know nope:1.');
    expect(await screen.findByText(/The service is gone/)).toBeInTheDocument();
  });
});
