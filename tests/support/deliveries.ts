// Deliveries of CI services, written here in the shapes that the services send, and signed as they sign.
import { createHmac, randomUUID } from 'node:crypto';
import type { Client, Reply } from './client.ts';
import { waitFor } from './wait.ts';

export const secret = "C'est à nous 🔑";
export const repository = 'example-org/shop';
export const commit = '1f0e3dad99908345f7439f8ffabdffc4fd1ec6f2';
const nobody = '0'.repeat(40);

export const sign = (body: string | Buffer, key = secret): string => `sha256=${createHmac('sha256', key).update(body).digest('hex')}`;

export interface Sent {
  id?: string;
  form?: boolean;
  headers?: Record<string, string>;
}

/** A delivery of GitHub, signed over the very bytes that are sent. */
export function deliver(hub: Client, event: string, payload: unknown, { id = randomUUID(), form = false, headers = {} }: Sent = {}): Promise<Reply> {
  const text = typeof payload === 'string' ? payload : JSON.stringify(payload);
  const body = form ? `payload=${encodeURIComponent(text).replace(/%20/g, '+')}` : text;
  return hub.raw('POST', '/v1/webhooks/github', {
    body,
    key: null,
    headers: {
      'content-type': form ? 'application/x-www-form-urlencoded' : 'application/json',
      'x-github-event': event,
      'x-github-delivery': id,
      'x-hub-signature-256': sign(body),
      ...headers,
    },
  });
}

/** Waits until a delivery was worked; gives what became of it. */
export function worked(hub: Client, reply: Reply): Promise<any> {
  const look = async (): Promise<any> => {
    const { deliveries } = await hub.ok('GET', '/ci/deliveries');
    return deliveries.find((d) => d.id === reply.body.delivery_id && d.verdict !== 'waiting');
  };
  return waitFor(look, { what: `the verdict on delivery ${JSON.stringify(reply.body)}` });
}

const about = { repository: { full_name: repository, default_branch: 'main' }, sender: { login: 'dev-one' } };

export const push = (ref: string, more: object = {}): object => ({
  ref,
  before: nobody,
  after: commit,
  created: false,
  deleted: false,
  head_commit: { id: commit, message: 'Café 🍵: paths\\/that are \\ escaped\n', timestamp: '2026-11-25T12:00:00+01:00', author: { name: 'Dév Un' } },
  ...about,
  ...more,
});
export const deleted = (ref: string): object => push(ref, { before: commit, after: nobody, deleted: true, head_commit: null });

/** A workflow run as webhooks and the API both write it. */
export const run = (more: Record<string, unknown> = {}): any => ({
  id: 501,
  name: 'ci',
  head_branch: 'main',
  head_sha: commit,
  run_number: 7,
  run_attempt: 1,
  event: 'push',
  status: 'completed',
  conclusion: 'success',
  created_at: '2026-11-25T11:00:00Z',
  run_started_at: '2026-11-25T11:00:05Z',
  updated_at: '2026-11-25T11:03:05Z',
  html_url: `https://github.com/${repository}/actions/runs/501`,
  head_commit: { id: commit, message: 'Add the cart', author: { name: 'Dév Un' } },
  head_repository: { full_name: repository },
  repository: { full_name: repository },
  ...more,
});
export const workflowRun = (action: string, more: Record<string, unknown> = {}): object => ({ action, workflow_run: run(more), workflow: { name: 'ci' }, ...about });
const going = { conclusion: null, status: 'in_progress', updated_at: '2026-11-25T11:01:00Z' };
export const requested = (more: Record<string, unknown> = {}): object => workflowRun('requested', { ...going, status: 'queued', updated_at: '2026-11-25T11:00:00Z', ...more });
export const inProgress = (more: Record<string, unknown> = {}): object => workflowRun('in_progress', { ...going, ...more });
export const completed = (more: Record<string, unknown> = {}): object => workflowRun('completed', more);

export const job = (name: string, id: number, conclusion: string | null = 'success'): object => ({
  action: conclusion ? 'completed' : 'in_progress',
  workflow_job: { id, run_id: 501, run_attempt: 1, workflow_name: 'ci', head_branch: 'main', head_sha: commit, name, status: conclusion ? 'completed' : 'in_progress', conclusion, started_at: '2026-11-25T11:00:10Z', completed_at: conclusion && '2026-11-25T11:01:10Z' },
  ...about,
});
export const check = (name: string, conclusion: string, more: object = {}): object => ({ action: 'completed', check_run: { id: 71, name, head_sha: commit, status: 'completed', conclusion, ...more }, ...about });

export const published = (image: string, tag: string, more: object = {}): object => {
  const [owner, name] = image.split('/');
  const package_version = { id: 88, created_at: '2026-11-25T11:02:00Z', container_metadata: { tag: { name: tag, digest: '' }, labels: { revision: commit } } };
  return { action: 'published', registry_package: { name, namespace: owner, ecosystem: 'CONTAINER', package_type: 'CONTAINER', owner: { login: owner }, package_version, ...more }, ...about };
};

/** A build as Travis CI's webhook writes it. */
export const build = (more: Record<string, unknown> = {}): any => ({
  id: 40,
  number: '12',
  type: 'push',
  state: 'passed',
  status: 0,
  started_at: '2026-11-25T11:00:00Z',
  finished_at: '2026-11-25T11:04:00Z',
  build_url: 'https://app.travis-ci.com/example-org/shop/builds/40',
  commit,
  branch: 'main',
  tag: null,
  message: 'Ça marche 🎉 +&%=',
  author_name: 'Dév Un',
  pull_request: false,
  repository: { id: 3, name: 'shop', owner_name: 'example-org' },
  matrix: [{ id: 41, number: '12.1', state: 'passed', started_at: '2026-11-25T11:00:10Z', finished_at: '2026-11-25T11:03:50Z' }],
  ...more,
});
