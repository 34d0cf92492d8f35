import { render, screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { BrowserRouter, Route, Routes } from 'react-router';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import Login from '@/pages/Login';
import { useSession } from '@/state/session';
import { mockError, mockHub, mockSession } from './mocks';

const show = () => render(
  <BrowserRouter><Routes><Route path="/login" element={<Login />} /><Route path="*" element={<p>inside</p>} /></Routes></BrowserRouter>,
);

beforeEach(() => useSession.setState({ state: { phase: 'unknown' } }));
afterEach(() => {
  vi.unstubAllGlobals();
  localStorage.clear();
});

describe('signing in', () => {
  it('by the link: the token is sent once and leaves the address bar', async () => {
    window.history.replaceState(null, '', '/login#token=once-only');
    const calls = mockHub(({ path }) => (path === '/v1/sessions' ? { status: 201, body: { session: mockSession() } } : undefined));
    show();
    expect(window.location.hash).toBe('');
    expect(await screen.findByText('inside')).toBeInTheDocument();
    expect(calls.map((c) => c.body)).toEqual([{ loginToken: 'once-only' }]);
    expect(localStorage).toHaveLength(0);
  });

  it('by a link that was used: says so and offers the key', async () => {
    window.history.replaceState(null, '', '/login#token=used');
    mockHub(() => ({ status: 401, body: mockError('UNAUTHORIZED', 'no') }));
    show();
    expect(await screen.findByText(/used already/)).toBeInTheDocument();
    expect(screen.getByLabelText('API key')).toBeEnabled();
  });

  it('by a key', async () => {
    window.history.replaceState(null, '', '/login');
    const calls = mockHub(({ path, method }) => (method === 'POST' && path === '/v1/sessions' ? { status: 201, body: { session: mockSession() } } : { status: 401, body: mockError('UNAUTHORIZED', 'no') }));
    show();
    await userEvent.type(screen.getByLabelText('API key'), '  hbc_key  ');
    await userEvent.click(screen.getByRole('button', { name: 'Sign in' }));
    expect(await screen.findByText('inside')).toBeInTheDocument();
    expect(calls.at(-1)?.body).toEqual({ apiKey: 'hbc_key' });
  });

  it('is passed over by who has a session already', async () => {
    window.history.replaceState(null, '', '/login');
    mockHub(({ path }) => (path === '/v1/sessions/current' ? { body: { session: mockSession() } } : undefined));
    show();
    expect(await screen.findByText('inside')).toBeInTheDocument();
  });

  it('goes back to where one was sent from, but never to another site', async () => {
    for (const [from, goal] of [['/nodes/attic', '/nodes/attic'], ['//evil.example', '/dashboard'], ['https://evil.example', '/dashboard']]) {
      useSession.setState({ state: { phase: 'in', session: mockSession() } });
      window.history.replaceState({ usr: { from }, key: 'k', idx: 0 }, '', '/login');
      const { unmount } = show();
      await waitFor(() => expect(window.location.pathname).toBe(goal));
      unmount();
    }
  });
});
