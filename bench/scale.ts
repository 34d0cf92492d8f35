// Ten thousand nodes and a hundred thousand services: memory, and the time of a page.
import type { Hub } from '../tests/support/hub.ts';
import { wrk } from '../tests/support/parts/wrk.ts';
import { hubWith } from './data.ts';
import { cpuSeconds, memory } from './measure.ts';
import type { Row } from './table.ts';

const NODES = 10_000;
const SERVICES = 100_000;

/** The paths of all pages of a list from its first to its last (or `limit` of them): each is asked for once in a turn, so that no answer is at hand. */
async function pages(hub: Hub, list: string, plural: string, limit: number): Promise<string[]> {
  const paths: string[] = [];
  let next: string | undefined;
  do {
    const path: string = `${list}${list.includes('?') ? '&' : '?'}limit=100${next ? `&cursor=${next}` : ''}`;
    paths.push(path);
    const { body } = await hub.raw('GET', path);
    if (!Array.isArray(body[plural]) || body[plural].length === 0) throw new Error(`${path} gave no page`);
    next = body.next;
  } while (next && paths.length < limit);
  return paths;
}

const lists = [
  { measure: 'page of 100 of 10,000 nodes, p99', path: '/v1/infrastructure/nodes', plural: 'nodes' },
  { measure: '— by status and provider', path: '/v1/infrastructure/nodes?status=active&provider=hetzner', plural: 'nodes' },
  { measure: '— by label', path: '/v1/infrastructure/nodes?label=room%3Dattic', plural: 'nodes' },
  { measure: 'page of 100 of 100,000 services, p99', path: '/v1/services', plural: 'services' },
  { measure: '— by status and type', path: '/v1/services?status=running&type=web', plural: 'services' },
  { measure: '— by text', path: '/v1/services?q=wiki-0', plural: 'services' },
  { measure: '— by node', path: '/v1/services?nodeId=node-004321', plural: 'services' },
];

export async function measureScale(quick: boolean): Promise<Row[]> {
  const hub = await hubWith(NODES, SERVICES);
  try {
    await hub.stop();
    const began = performance.now();
    await hub.restart();
    const rows: Row[] = [
      { case: 'scale', measure: 'start to ready with 10,000 nodes and 100,000 services', value: (performance.now() - began) / 1000, unit: 's' },
      { case: 'scale', measure: 'memory with them', value: memory(hub.pid).rss, unit: 'MB' },
    ];
    for (const { measure, path, plural } of lists) {
      const paths = await pages(hub, path, plural, quick ? 100 : 1000);
      const before = cpuSeconds(hub.pid);
      const { p99, p50, requests, errors } = wrk({ url: hub.url, paths, connections: 1, seconds: quick ? 1 : 2, headers: { 'X-API-Key': hub.key! } });
      const cpu = ((cpuSeconds(hub.pid) - before) / requests) * 1000;
      if (errors > 0) throw new Error(`${errors} errors of ${requests} requests of ${path}`);
      rows.push({ case: 'scale', measure, value: p99, unit: 'ms', goal: { atMost: 5 }, note: `${paths.length} pages, p50 ${p50.toFixed(2)} ms, CPU ${cpu.toFixed(2)} ms` });
    }
    return rows;
  } finally {
    await hub.discard();
  }
}
