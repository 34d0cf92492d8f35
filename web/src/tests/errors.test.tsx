import { render, screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { HubError } from '@/api/errors';
import { Failed } from '@/components/States';
import { Toaster } from '@/components/Toaster';
import { toastDone, toastError, useToasts } from '@/state/toasts';
import { act } from 'react';
import { mockError } from './mocks';

beforeEach(() => useToasts.setState({ toasts: [] }));
afterEach(() => vi.useRealTimers());

describe('what went wrong, on the screen', () => {
  it('a toast shows message and request id, copies the details, and stays until dismissed', async () => {
    const user = userEvent.setup();
    render(<Toaster />);
    act(() => void toastError(new HubError(409, mockError('CONFLICT', 'Services live on attic.'))));
    expect(screen.getByText('Services live on attic.')).toBeInTheDocument();
    expect(screen.getByText('request req-1')).toBeInTheDocument();
    await user.click(screen.getByRole('button', { name: /Copy details/ }));
    expect(JSON.parse(await navigator.clipboard.readText())).toMatchObject({ error: { code: 'CONFLICT', requestId: 'req-1' } });
    await user.click(screen.getByRole('button', { name: 'Dismiss' }));
    expect(screen.queryByText('Services live on attic.')).not.toBeInTheDocument();
  });

  it('a toast of something done leaves by itself', () => {
    vi.useFakeTimers();
    render(<Toaster />);
    act(() => void toastDone('Done.'));
    expect(screen.getByText('Done.')).toBeInTheDocument();
    act(() => void vi.advanceTimersByTime(5000));
    expect(screen.queryByText('Done.')).not.toBeInTheDocument();
  });

  it('a list that could not be loaded says why and can be tried again', async () => {
    const retry = vi.fn();
    render(<Failed what="The nodes" error={new HubError(0, null)} retry={retry} />);
    expect(screen.getByRole('alert')).toHaveTextContent('The hub cannot be reached');
    await userEvent.click(screen.getByRole('button', { name: 'Try again' }));
    expect(retry).toHaveBeenCalledOnce();
  });
});
