/* One error for everything that can go wrong with a call. Carries what the hub said, in the shape of its ApiError. */

import type { ApiErrorBody } from './types';

export class HubError extends Error {
  readonly status: number; // 0: the hub was not reached
  readonly code: string;
  readonly requestId: string | null;
  readonly details: Record<string, unknown>;
  readonly body: ApiErrorBody | null;

  constructor(status: number, body: ApiErrorBody | null, message?: string) {
    super(message ?? body?.error.message ?? sayStatus(status));
    this.name = 'HubError';
    this.status = status;
    this.code = body?.error.code ?? (status === 0 ? 'UNREACHABLE' : `HTTP_${status}`);
    this.requestId = body?.error.requestId ?? null;
    this.details = body?.error.details ?? {};
    this.body = body;
  }
}

function sayStatus(status: number): string {
  return status === 0
    ? 'The hub cannot be reached. Is it running?'
    : `The hub answered with status ${status} and no explanation.`;
}

export function isApiError(body: unknown): body is ApiErrorBody {
  if (typeof body !== 'object' || body === null || !('error' in body)) return false;
  const { error } = body;
  return typeof error === 'object' && error !== null && 'code' in error && 'message' in error;
}

export function asHubError(thrown: unknown): HubError {
  if (thrown instanceof HubError) return thrown;
  if (thrown instanceof TypeError) return new HubError(0, null);
  return new HubError(-1, null, thrown instanceof Error ? thrown.message : String(thrown));
}

/* details is {"/container/image": "must not be empty"}; a form knows its fields by the same pointers. */
export function fieldErrors(error: HubError | null): Record<string, string> {
  const fields: Record<string, string> = {};
  for (const [pointer, reason] of Object.entries(error?.details ?? {})) {
    const key = pointer.startsWith('/body/') ? pointer.slice('/body'.length) : pointer;
    if (key.startsWith('/')) fields[key] = typeof reason === 'string' ? reason : JSON.stringify(reason);
  }
  return fields;
}

/* What "Copy details" puts on the clipboard: enough for a report, no secret. */
export function report(error: HubError): string {
  return JSON.stringify(error.body ?? { error: { code: error.code, message: error.message, status: error.status } }, null, 2);
}
