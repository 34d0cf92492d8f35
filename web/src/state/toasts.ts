import { create } from 'zustand';
import { asHubError, type HubError } from '@/api/errors';

export interface Toast {
  id: number;
  kind: 'done' | 'error';
  title: string;
  error?: HubError;
}

const MOST = 4;
let nextId = 1;

export const useToasts = create<{ toasts: Toast[] }>(() => ({ toasts: [] }));

function push(toast: Omit<Toast, 'id'>) {
  const id = nextId++;
  useToasts.setState(({ toasts }) => ({ toasts: [...toasts, { ...toast, id }].slice(-MOST) }));
  return id;
}

export const dismiss = (id: number) =>
  useToasts.setState(({ toasts }) => ({ toasts: toasts.filter((t) => t.id !== id) }));

export const toastDone = (title: string) => push({ kind: 'done', title });

export function toastError(thrown: unknown) {
  const error = asHubError(thrown);
  return push({ kind: 'error', title: error.message, error });
}
