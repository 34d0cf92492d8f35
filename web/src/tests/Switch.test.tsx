import { render, screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { MemoryRouter, Route, Routes } from 'react-router';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Plan, Release } from '@/api/types';
import { CancelDeployment } from '@/components/CancelDeployment';
import { Releases } from '@/components/Releases';
import { SwitchReceipt, type Receipt } from '@/components/SwitchReceipt';
import { UpdateService } from '@/components/UpdateService';
import { forgetEntities } from '@/state/entities';
import { useSession } from '@/state/session';
import { mockDeployment, mockHub, mockService, mockSession } from './mocks';

const TIME = '2026-11-25T12:00:00.000Z';
const figures = (sent: number, failed: number) => ({ sent, failed, p50: 4, p99: 6 });
const receipt = (held: boolean): Receipt => ({
  strategy: 'blue-green', reloads: 0, drain: { durationMs: 1840, forced: false },
  probes: { before: figures(40, 0), during: figures(10, held ? 0 : 2), after: figures(40, 0) },
  points: [[0, 4, 0, 0], [50, 5, held ? 0 : 1, 1], [100, 4, 0, 2]],
  bound: { maxFailed: 0, maxLatencyRatio: 3, held, reason: held ? null : '2 of 10 probes failed, and none may.' },
});
const plan: Plan = {
  action: 'rollback', service: 'hello', release: 1, changes: [{ field: 'container.image', before: 'hello:2', after: 'hello:1' }],
  containers: [{ instance: 1, container: '5f2b8c0e9d7a', node: 'attic', action: 'replace' }],
  strategy: { type: 'blue-green', reason: null }, gateway: { reload: false, reason: 'The routes stay as they are.' }, queue: null, notes: ['It does not answer for a moment.'],
};
const release = (number: number, more: Partial<Release> = {}): Release => ({
  number, image: `hello:${number}`, digest: null, version: null, createdAt: TIME, createdBy: 'owner', servedAt: TIME, serving: false, pinned: true, deploymentId: null,
  rollback: { possible: true, reason: null }, ...more,
});

beforeEach(() => {
  forgetEntities();
  useSession.setState({ state: { phase: 'in', session: mockSession() } });
});
afterEach(() => vi.unstubAllGlobals());

describe('the receipt of a switch', () => {
  it('shows figures, a point for each probe, and that the bound held', () => {
    render(<SwitchReceipt receipt={receipt(true)} />);
    expect(screen.getByText('bound held')).toBeInTheDocument();
    expect(screen.getByRole('img', { name: 'Latency of 3 probes over 100 ms, 0 failed' })).toBeInTheDocument();
    expect(within(screen.getByRole('row', { name: /during/ })).getByText('10')).toBeInTheDocument();
    expect(screen.getByText('1.8 s')).toBeInTheDocument();
  });

  it('says in words why a bound was broken', () => {
    render(<SwitchReceipt receipt={receipt(false)} />);
    expect(screen.getByText('bound broken')).toBeInTheDocument();
    expect(screen.getByText('2 of 10 probes failed, and none may.')).toBeInTheDocument();
    expect(screen.getByRole('img', { name: /1 failed/ })).toBeInTheDocument();
  });
});

describe('cancelling', () => {
  it('is offered before the switch and not from it on', async () => {
    const calls = mockHub(({ path }) => (path.endsWith('/cancel') ? { body: { deployment: mockDeployment() } } : undefined));
    const { rerender } = render(<CancelDeployment deployment={mockDeployment({ status: { state: 'building', step: 'pull' } })} />);
    await userEvent.click(screen.getByRole('button', { name: 'Cancel' }));
    expect(calls.map((c) => `${c.method} ${c.path}`)).toEqual([`POST /v1/deployments/${mockDeployment().id}/cancel`]);
    rerender(<CancelDeployment deployment={mockDeployment({ status: { state: 'deploying', step: 'switch' } })} />);
    expect(screen.queryByRole('button')).not.toBeInTheDocument();
    rerender(<CancelDeployment deployment={mockDeployment({ status: { state: 'superseded', step: null } })} />);
    expect(screen.queryByRole('button')).not.toBeInTheDocument();
  });
});

describe('rolling back', () => {
  it('shows the plan first, then deploys the release; one that cannot come back says why', async () => {
    const service = mockService();
    const releases = [release(3, { serving: true }), release(2), release(1, { rollback: { possible: false, reason: 'Its image is gone.' } })];
    const calls = mockHub(({ path, query }) => {
      if (path.endsWith('/releases')) return { body: { releases } };
      if (path.endsWith('/rollback')) return query.get('plan') === 'true' ? { body: { plan } } : { status: 202, body: { deployment_id: 'd1', service_instance: service, monitoring_setup: {} } };
      return undefined;
    });
    render(<MemoryRouter><Routes><Route path="/" element={<Releases service={service} />} /><Route path="/deployments/:id" element={<p>followed</p>} /></Routes></MemoryRouter>);
    const gone = await screen.findByRole('button', { name: 'Roll back to release 1' });
    expect(gone).toBeDisabled();
    expect(gone).toHaveAttribute('title', 'Its image is gone.');
    expect(screen.queryByRole('button', { name: 'Roll back to release 3' })).not.toBeInTheDocument();
    await userEvent.click(screen.getByRole('button', { name: 'Roll back to release 2' }));
    expect(await screen.findByText('hello:1', { selector: 'dialog *' })).toBeInTheDocument();
    expect(screen.getByText('It does not answer for a moment.')).toBeInTheDocument();
    await userEvent.click(within(screen.getByRole('dialog')).getByRole('button', { name: 'Roll back' }));
    expect(await screen.findByText('followed')).toBeInTheDocument();
    expect(calls.find((c) => c.path.endsWith('/rollback') && !c.query.has('plan'))?.body).toEqual({ release: 2 });
  });
});

describe('updating', () => {
  it('sends only what differs, and asks for a plan without doing anything', async () => {
    const service = mockService({ instances: { wanted: 2, running: 2, healthy: 2 } });
    const calls = mockHub(({ method }) => (method === 'PATCH' ? { body: { plan } } : undefined));
    render(<MemoryRouter><UpdateService service={service} /></MemoryRouter>);
    await userEvent.click(screen.getByRole('button', { name: 'Update' }));
    const instances = screen.getByRole('spinbutton', { name: 'Instances' });
    await userEvent.clear(instances);
    await userEvent.type(instances, '3');
    await userEvent.click(screen.getByRole('button', { name: 'What would change?' }));
    await waitFor(() => expect(screen.getByText('The routes stay as they are.')).toBeInTheDocument());
    expect(calls.map((c) => [c.method, c.query.get('plan'), c.body])).toEqual([['PATCH', 'true', { instances: 3 }]]);
  });
});
