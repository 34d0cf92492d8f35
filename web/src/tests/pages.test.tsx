import { render, screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import type { ComponentType } from 'react';
import { MemoryRouter, Route, Routes } from 'react-router';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { System } from '@/api/types';
import Nodes from '@/pages/Nodes';
import Overview from '@/pages/Overview';
import Services from '@/pages/Services';
import Settings from '@/pages/Settings';
import { forgetEntities } from '@/state/entities';
import { signedIn, signedOut } from '@/state/session';
import { mockDeployment, mockError, mockHub, mockInfrastructureNode, mockService, mockSession, type Call } from './mocks';

const node = mockInfrastructureNode();
const SYSTEM: System = {
  version: '1.0.0', startedAt: '2026-11-25T12:00:00Z', hubNodeId: node.id, dataDirectory: '/d', database: { kind: 'sqlite', schemaVersion: 1 }, dashboard: { available: true },
  engine: { available: true, name: 'docker', version: '27', apiVersion: '1.47', minApiVersion: '1.24', usedApiVersion: '1.44', rootless: false },
  integrations: [{ name: 'datadog', configured: false, answering: null }, { name: 'sentry', configured: true, answering: false }],
  problems: [],
};

interface World { system?: Partial<System>; services?: ReturnType<typeof mockService>[]; deployments?: ReturnType<typeof mockDeployment>[] }

const reads = (world: World) => ({ path }: Call) => {
  switch (path) {
    case '/v1/system': return { body: { system: { ...SYSTEM, ...world.system } } };
    case '/v1/infrastructure/nodes': return { body: { nodes: [node], metadata: { total: 1, active: 1, monitoring_integrated: 0 } } };
    case '/v1/services': return { body: { services: world.services ?? [], aggregated_health: { healthy: world.services?.length ?? 0, unhealthy: 0, unknown: 0 } } };
    case '/v1/deployments': return { body: { deployments: world.deployments ?? [], analytics: { success_rate: null, average_duration: null } } };
    case '/v1/monitoring/metrics': return { body: { metrics: [], correlation_analysis: { cross_tool_consistency: null, data_quality_score: 100 } } };
    case '/v1/monitoring/query': return { body: { name: 'x', fn: 'avg', step: 15, from: 0, to: 1, unit: null, series: [] } };
    default: return undefined;
  }
};

const show = (path: string, Page: ComponentType, at = path) =>
  render(<MemoryRouter initialEntries={[at]}><Routes><Route path={path} element={<Page />} /><Route path="*" element={<p>elsewhere</p>} /></Routes></MemoryRouter>);

beforeEach(() => {
  forgetEntities();
  signedIn(mockSession());
});
afterEach(() => {
  signedOut();
  vi.unstubAllGlobals();
});

describe('the overview', () => {
  it('tells the truth about outside monitoring, once each', async () => {
    mockHub(reads({}));
    show('/dashboard', Overview);
    await waitFor(() => expect(screen.getByTestId('datadog-status')).toHaveTextContent('not configured'));
    expect(screen.getByTestId('newrelic-status')).toHaveTextContent('not configured'); // the hub does not even name it
    expect(screen.getByTestId('sentry-status')).toHaveTextContent('not answering');
    expect(screen.getByText('Nothing is wrong.')).toBeInTheDocument();
    expect(await screen.findByText('Nothing has been deployed yet')).toBeInTheDocument();
  });

  it('leads from a problem to what has it', async () => {
    mockHub(reads({ system: { problems: [
      { severity: 'info', title: 'An update is there', detail: 'Read the notes.', since: '2026-11-25T12:00:00Z' },
      { severity: 'critical', title: 'hello is unhealthy', detail: 'GET / answered 502.', entityType: 'service', entityId: 's1', since: '2026-11-25T12:00:00Z' },
    ] } }));
    show('/dashboard', Overview);
    expect(await screen.findByRole('link', { name: 'hello is unhealthy' })).toHaveAttribute('href', '/services/s1');
    const titles = within(screen.getByRole('region', { name: 'What is wrong now' })).getAllByRole('listitem').map((li) => li.textContent);
    expect(titles[0]).toContain('hello is unhealthy');
  });

  it('lists deployments with state and person', async () => {
    mockHub(reads({ deployments: [mockDeployment({ status: { state: 'rolled_back', progress: 100 } })] }));
    show('/dashboard', Overview);
    expect(await screen.findByText('rolled back')).toBeInTheDocument();
  });
});

describe('lists', () => {
  it('say what to do where no engine answers', async () => {
    mockHub(reads({ system: { engine: { ...SYSTEM.engine, available: false, reason: 'Install Docker: apt install docker.io.' } } }));
    show('/services', Services);
    expect(await screen.findByText(/apt install docker.io/)).toBeInTheDocument();
  });

  it('filter by what was typed, and say when nothing is left', async () => {
    mockHub(reads({ services: [mockService({ id: '1', name: 'blog' }), mockService({ id: '2', name: 'wiki', managed: false, networking: { url: 'javascript:alert(1)' } })] }));
    show('/services', Services);
    expect(await screen.findByRole('link', { name: 'blog' })).toBeInTheDocument();
    expect(screen.queryByRole('link', { name: /alert/ })).not.toBeInTheDocument(); // an address from a label is no link unless it is a web address
    await userEvent.type(screen.getByRole('searchbox'), 'WIK');
    expect(screen.queryByRole('link', { name: 'blog' })).not.toBeInTheDocument();
    await userEvent.type(screen.getByRole('searchbox'), 'zzz');
    expect(screen.getByText('No service matches these filters')).toBeInTheDocument();
  });

  it('that could not be read can be read again', async () => {
    let broken = true;
    mockHub((call) => (broken && call.path === '/v1/infrastructure/nodes' ? { status: 503, body: mockError('SERVICE_UNAVAILABLE', 'The database is busy.') } : reads({})(call)));
    show('/nodes', Nodes);
    expect(await screen.findByText('The database is busy.')).toBeInTheDocument();
    broken = false;
    await userEvent.click(screen.getByRole('button', { name: 'Try again' }));
    expect(await screen.findByRole('link', { name: 'attic' })).toBeInTheDocument();
  });
});

describe('settings', () => {
  const key = { id: 'k1', name: 'laptop', prefix: 'hbc_1', role: 'viewer', createdAt: '2026-11-25T12:00:00Z', createdBy: 'owner' };

  it('shows a new key’s secret once and keeps it nowhere', async () => {
    const calls = mockHub(({ method, path }) => (path !== '/v1/keys' ? undefined : method === 'POST' ? { status: 201, body: { key, secret: 'hbc_1_secret' } } : { body: { keys: [key] } }));
    show('/settings/:tab', Settings, '/settings/keys');
    await userEvent.click(await screen.findByRole('button', { name: 'New key' }));
    await userEvent.type(screen.getByLabelText('What it is for'), 'laptop');
    await userEvent.click(screen.getByRole('button', { name: 'Make key' }));
    expect(await screen.findByText('hbc_1_secret')).toBeInTheDocument();
    expect(calls.find((c) => c.method === 'POST')?.body).toMatchObject({ name: 'laptop', role: 'viewer' });
    await userEvent.click(screen.getByRole('button', { name: 'I have kept it' }));
    expect(document.body.innerHTML).not.toContain('hbc_1_secret');
  });

  it('offers a viewer only what a viewer may read', () => {
    signedIn(mockSession({ role: 'viewer' }));
    mockHub(reads({}));
    show('/settings/:tab', Settings, '/settings/keys');
    expect(screen.getAllByRole('tab').map((t) => t.textContent)).toEqual(['Secrets', 'Registries', 'Volumes', 'CI', 'Jobs', 'Integrations', 'Session']);
  });
});
