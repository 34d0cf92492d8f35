import { render, screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { MemoryRouter } from 'react-router';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import RoutesPage from '@/pages/Routes';
import { Ci } from '@/pages/settings/Ci';
import { Jobs } from '@/pages/settings/Jobs';
import { Secrets } from '@/pages/settings/Secrets';
import { Volumes } from '@/pages/settings/Volumes';
import { forgetEntities } from '@/state/entities';
import { useSession } from '@/state/session';
import { useToasts } from '@/state/toasts';
import { mockError, mockHub, mockSession, type Call } from './mocks';

const TIME = '2026-11-25T12:00:00.000Z';
const asRole = (role: 'admin' | 'operator' | 'viewer') => useSession.setState({ state: { phase: 'in', session: mockSession({ role }) } });
const writes = (calls: Call[]) => calls.filter((c) => c.method !== 'GET').map((c) => `${c.method} ${c.path}`);

beforeEach(() => {
  forgetEntities();
  asRole('admin');
});
afterEach(() => vi.unstubAllGlobals());

describe('secrets', () => {
  const secret = { name: 'database-password', version: 2, updatedAt: TIME, updatedBy: 'owner', versions: [{ version: 2, createdAt: TIME, createdBy: 'owner', releases: 1 }] };

  it('takes a value byte for byte, and it is nowhere on the page after that', async () => {
    const value = 'pa$$word\n"é" ';
    const calls = mockHub(({ method }) => ({ body: method === 'GET' ? { secrets: [secret], next: null } : { secret } }));
    render(<Secrets />);
    await userEvent.click(await screen.findByRole('button', { name: 'New value of database-password' }));
    await userEvent.click(screen.getByLabelText('Value'));
    await userEvent.paste(value);
    await userEvent.click(screen.getByRole('button', { name: 'Set' }));
    await waitFor(() => expect(screen.queryByRole('dialog')).not.toBeInTheDocument());
    expect(calls.find((c) => c.method === 'PUT')).toMatchObject({ path: '/v1/secrets/database-password', body: { value } });
    expect(document.documentElement.innerHTML).not.toContain('pa$$word');
    expect(JSON.stringify(useToasts.getState())).not.toContain('pa$$word');
    await userEvent.click(screen.getByRole('button', { name: 'New value of database-password' }));
    expect(screen.getByLabelText('Value')).toHaveValue('');
  });

  it('is deleted only by its name, and not by an operator', async () => {
    const calls = mockHub(({ method }) => ({ body: method === 'GET' ? { secrets: [secret], next: null } : undefined }));
    const { unmount } = render(<Secrets />);
    await userEvent.click(await screen.findByRole('button', { name: 'Delete database-password' }));
    expect(screen.getByRole('button', { name: 'Delete secret' })).toBeDisabled();
    await userEvent.type(screen.getByLabelText('Type database-password to confirm'), 'database-password');
    await userEvent.click(screen.getByRole('button', { name: 'Delete secret' }));
    await waitFor(() => expect(writes(calls)).toEqual(['DELETE /v1/secrets/database-password']));
    unmount();
    asRole('operator');
    render(<Secrets />);
    await screen.findByRole('button', { name: 'New value of database-password' });
    expect(screen.queryByRole('button', { name: /^Delete/ })).not.toBeInTheDocument();
  });
});

describe('approvals', () => {
  const approval = {
    id: 'a1', ruleId: 'r1', state: 'approval', service: 'shop', environment: 'production', image: 'ghcr.io/example-org/shop:v2', source: 'github', createdAt: TIME, deploymentId: null, reason: null,
    git: null, gates: [{ gate: 'test', held: true, found: 'success' }, { gate: 'coverage >= 80', held: false, found: '71' }],
  };
  const answer = ({ method, path }: Call) => {
    if (method !== 'GET') return { body: { approval } };
    if (path.endsWith('/approvals')) return { body: { approvals: [approval], next: null } };
    return { body: path.endsWith('/runs') ? { runs: [], next: null } : { rules: [] } };
  };

  it('shows what its gates found, and sends what was decided', async () => {
    const calls = mockHub(answer);
    render(<MemoryRouter><Ci /></MemoryRouter>);
    expect(await screen.findByText('coverage >= 80: 71')).toBeInTheDocument();
    await userEvent.click(screen.getByRole('button', { name: 'Reject' }));
    await userEvent.click(await screen.findByRole('button', { name: 'Approve' }));
    await waitFor(() => expect(writes(calls)).toEqual(['POST /v1/ci/approvals/a1/reject', 'POST /v1/ci/approvals/a1/approve']));
  });

  it('is not a viewer’s to decide', async () => {
    asRole('viewer');
    mockHub(answer);
    render(<MemoryRouter><Ci /></MemoryRouter>);
    expect(await screen.findByText('approval')).toBeInTheDocument();
    expect(screen.queryByRole('button', { name: 'Approve' })).not.toBeInTheDocument();
  });

  it('says what cannot be read, each for itself', async () => {
    mockHub((call) => (call.path.endsWith('/rules') ? { status: 503, body: mockError('UNAVAILABLE', 'The database is away.') } : answer(call)));
    render(<MemoryRouter><Ci /></MemoryRouter>);
    expect(await screen.findByText('coverage >= 80: 71')).toBeInTheDocument();
    expect(await screen.findByText('The database is away.')).toBeInTheDocument();
  });
});

describe('volumes', () => {
  it('are removed by name on their node, and not while they are used', async () => {
    const volume = (name: string, inUse: boolean) => ({
      name, nodeId: 'n1', node: 'attic', driver: 'local', labels: {}, createdAt: TIME, service: 'hello', inUse, usedBy: inUse ? [{ service: 'hello', container: 'c', running: true }] : [],
    });
    const calls = mockHub(({ method }) => ({ status: method === 'GET' ? 200 : 202, body: method === 'GET' ? { volumes: [volume('data', false), volume('busy', true)], unreachable: [] } : { job: {} } }));
    render(<Volumes />);
    expect(await screen.findByRole('button', { name: 'Remove busy' })).toBeDisabled();
    await userEvent.click(screen.getByRole('button', { name: 'Remove data' }));
    await userEvent.type(screen.getByLabelText('Type data to confirm'), 'data');
    await userEvent.click(screen.getByRole('button', { name: 'Remove volume' }));
    await waitFor(() => expect(writes(calls)).toEqual(['DELETE /v1/volumes/data']));
    const query = calls.find((c) => c.method === 'DELETE')?.query;
    expect(['confirm', 'node', 'snapshot'].map((name) => query?.get(name))).toEqual(['data', 'n1', null]);
  });
});

describe('jobs', () => {
  const job = (state: string, more: object) => ({
    id: state, kind: 'deployment', title: `A job that is ${state}`, state, arguments: {}, attempt: 1, maxAttempts: 5, cancellable: false, retryable: false, schedule: null, reason: null,
    createdAt: TIME, startedAt: TIME, endedAt: null, nextRunAt: null, deadlineAt: null, cancelRequestedAt: null, ...more,
  });
  const counts = { waiting: 0, running: 1, done: 1, failed: 1, cancelled: 0 };

  it('offers to each what it can do, and reads the list anew', async () => {
    const jobs = [job('running', { cancellable: true }), job('failed', { retryable: true, reason: 'The registry does not answer.' }), job('done', {})];
    const schedule = { name: 'sweep', title: 'Sweep', cron: null, every: 86_400, timeZone: null, nextAt: TIME, lastAt: null, lastState: null, skipped: 0 };
    const calls = mockHub(({ method, path }) => ({ body: method !== 'GET' ? { job: jobs[0] } : path === '/v1/schedules' ? { schedules: [schedule] } : { jobs, counts, next: null } }));
    render(<Jobs />);
    expect(await screen.findByText('every 1 d')).toBeInTheDocument();
    expect(screen.getByText('The registry does not answer.')).toBeInTheDocument();
    expect(within(screen.getByRole('row', { name: /that is done/ })).queryByRole('button')).not.toBeInTheDocument();
    await userEvent.click(screen.getByRole('button', { name: 'Cancel: A job that is running' }));
    await userEvent.click(screen.getByRole('button', { name: 'Run again: A job that is failed' }));
    await waitFor(() => expect(writes(calls)).toEqual(['POST /v1/jobs/running/cancel', 'POST /v1/jobs/failed/retry']));
    await waitFor(() => expect(calls.filter((c) => c.path === '/v1/jobs')).toHaveLength(3));
  });

  it('looks again while one is under way, and not after its end', async () => {
    vi.useFakeTimers({ shouldAdvanceTime: true });
    let state = 'running';
    const calls = mockHub(({ path }) => ({ body: path === '/v1/schedules' ? { schedules: [] } : { jobs: [job(state, {})], counts, next: null } }));
    render(<Jobs />);
    expect(await screen.findByText('A job that is running')).toBeInTheDocument();
    state = 'done';
    await vi.advanceTimersByTimeAsync(5000);
    expect(await screen.findByText('A job that is done')).toBeInTheDocument();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(calls.filter((c) => c.path === '/v1/jobs')).toHaveLength(2);
    vi.useRealTimers();
  });
});

describe('routes', () => {
  const router = { configured: true, reached: true, reloads: 1 };
  const route = (service: string, more: object) => ({
    service, serviceId: service, domains: [`${service}.example.org`], url: `https://${service}.example.org`, state: 'accepted', reason: null, serving: true, upstreams: ['127.0.0.1:32768'], inFlight: 0, figures: null, updatedAt: TIME, ...more,
  });
  const show = () => render(<MemoryRouter><RoutesPage /></MemoryRouter>);

  it('say who serves, what was refused and why', async () => {
    const routes = [route('shop', {}), route('blog', { serving: false, upstreams: [] }), route('wiki', { state: 'refused', reason: 'Another service has this domain.' })];
    mockHub(({ path }) => ({ body: path === '/v1/certificates' ? { certificates: [] } : { routes, router, next: null } }));
    show();
    expect(within(await screen.findByRole('row', { name: /shop/ })).getByText('serves')).toBeInTheDocument();
    expect(within(screen.getByRole('row', { name: /blog/ })).getByText('no instance')).toBeInTheDocument();
    expect(within(screen.getByRole('row', { name: /wiki/ })).getByText('Another service has this domain.')).toBeInTheDocument();
    expect(screen.getByRole('link', { name: /shop.example.org/ })).toHaveAttribute('href', 'https://shop.example.org');
  });

  it('say what to do when there is no router, and what failed when there is no answer', async () => {
    mockHub(() => ({ body: { routes: [], router: { ...router, configured: false }, next: null } }));
    const { unmount } = show();
    expect(await screen.findByText(/Set CADDY_ADMIN_URL/)).toBeInTheDocument();
    unmount();
    mockHub(() => ({ status: 503, body: mockError('UNAVAILABLE', 'The database is away.') }));
    show();
    expect(await screen.findByText('The database is away.')).toBeInTheDocument();
  });
});
