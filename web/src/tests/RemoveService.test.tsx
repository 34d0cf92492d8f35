import { render, screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { MemoryRouter } from 'react-router';
import { afterEach, expect, it, vi } from 'vitest';
import { RemoveService } from '@/components/RemoveService';
import { mockHub, mockService } from './mocks';

afterEach(() => vi.unstubAllGlobals());

it('removes only after the name was typed, and only the volumes that were ticked', async () => {
  const service = mockService();
  const calls = mockHub(() => ({ body: { service } }));
  render(<MemoryRouter><RemoveService service={service} open onClose={() => undefined} /></MemoryRouter>);
  const remove = screen.getByRole('button', { name: 'Remove service' });
  expect(remove).toBeDisabled();
  expect(screen.getByRole('checkbox', { name: 'hello-data' })).not.toBeChecked();
  expect(screen.queryByRole('checkbox', { name: '/srv/media' })).not.toBeInTheDocument();
  await userEvent.type(screen.getByLabelText('Type hello to confirm'), 'hell');
  expect(remove).toBeDisabled();
  await userEvent.type(screen.getByLabelText('Type hello to confirm'), 'o');
  await userEvent.click(screen.getByRole('checkbox', { name: 'hello-data' }));
  expect(screen.getByText(/will be lost/)).toBeInTheDocument();
  await userEvent.click(remove);
  await waitFor(() => expect(calls).toHaveLength(1));
  expect(calls[0]).toMatchObject({ method: 'DELETE', path: `/v1/services/${service.id}` });
  expect(calls[0]?.query.getAll('volumes')).toEqual(['hello-data']);
});
