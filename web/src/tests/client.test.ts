import { afterEach, describe, expect, it, vi } from 'vitest';
import { asHubError, fieldErrors, HubError, report } from '@/api/errors';
import { hub } from '@/api/hub';
import { signedIn, signedOut, useSession } from '@/state/session';
import { mockError, mockHub, mockInfrastructureNode, mockSession } from './mocks';

afterEach(() => {
  signedOut();
  vi.unstubAllGlobals();
});

describe('the client', () => {
  it('sends the CSRF token with writes and with nothing else', async () => {
    signedIn(mockSession({ csrfToken: 'csrf-7' }));
    const calls = mockHub(() => ({ body: { node: mockInfrastructureNode() } }));
    await hub.node('attic');
    await hub.updateNode('attic', { status: 'maintenance' });
    expect(calls.map((c) => [c.method, c.headers.get('X-CSRF-Token')])).toEqual([['GET', null], ['PATCH', 'csrf-7']]);
    expect(calls[1]?.body).toEqual({ status: 'maintenance' });
  });
  it('names the volumes that go, once each', async () => {
    const calls = mockHub(() => ({ body: { service: {} } }));
    await hub.removeService('id1', 'hello', ['a', 'b']);
    expect(calls[0]?.query.getAll('volumes')).toEqual(['a', 'b']);
    expect(calls[0]?.query.get('confirm')).toBe('hello');
    await hub.removeService('id1', 'hello', []);
    expect(calls[1]?.query.has('volumes')).toBe(false);
  });
  it('throws what the hub said', async () => {
    mockHub(() => ({ status: 409, body: mockError('CONFLICT', 'Services live on it.') }));
    const error = asHubError(await hub.deleteNode('attic').catch((e: unknown) => e));
    expect(error).toMatchObject({ status: 409, code: 'CONFLICT', message: 'Services live on it.', requestId: 'req-1' });
  });
  it('speaks of status and reach when there is no ApiError', async () => {
    mockHub(() => ({ status: 502, body: 'bad gateway' }));
    expect(asHubError(await hub.system().catch((e: unknown) => e)).message).toContain('502');
  });
  it('repeats what is safe to repeat when the network blinks, and nothing else', async () => {
    vi.useFakeTimers();
    const dropped = vi.fn(() => Promise.reject(new TypeError('Failed to fetch')));
    vi.stubGlobal('fetch', dropped);
    const tried = async (call: Promise<unknown>) => {
      dropped.mockClear();
      const caught = call.catch((e: unknown) => e);
      await vi.advanceTimersByTimeAsync(5000);
      expect(asHubError(await caught)).toMatchObject({ status: 0, code: 'UNREACHABLE' });
      return dropped.mock.calls.length;
    };
    expect(await tried(hub.system())).toBe(3);
    expect(await tried(hub.deploy({ name: 'a', container: { image: 'i' }, networking: { internalPort: 1 } }, 'key-1'))).toBe(3);
    expect(await tried(hub.deleteNode('attic'))).toBe(1);
    vi.useRealTimers();
  });
  it('ends the session on 401, but not when signing in was refused', async () => {
    mockHub(() => ({ status: 401, body: mockError('UNAUTHORIZED', 'no') }));
    await hub.signIn({ apiKey: 'x' }).catch(() => undefined);
    expect(useSession.getState().state.phase).toBe('out');
    signedIn(mockSession());
    await hub.system().catch(() => undefined);
    expect(useSession.getState().state).toMatchObject({ phase: 'out', reason: expect.stringContaining('ended') as string });
  });
});

describe('errors', () => {
  it('finds fields by pointer, with and without /body', () => {
    const error = new HubError(400, mockError('VALIDATION_ERROR', 'no', { '/body/container/image': 'is empty', '/query/limit': 'too large' }));
    expect(fieldErrors(error)).toEqual({ '/container/image': 'is empty', '/query/limit': 'too large' });
  });
  it('reports the whole of what was said', () => {
    expect(JSON.parse(report(new HubError(500, mockError('INTERNAL', 'oh'))))).toMatchObject({ error: { code: 'INTERNAL', requestId: 'req-1' } });
  });
});
