import { describe, expect, it } from 'vitest';
import { layoutTopology, type Place } from '@/lib/topology';

const ids = (n: number, prefix = 's') => Array.from({ length: n }, (_, i) => `${prefix}${i}`);
const overlap = (a: Place, b: Place) => Math.abs(a.x - b.x) < (a.width + b.width) / 2 && Math.abs(a.y - b.y) < (a.height + b.height) / 2;

describe('the picture of hub and spokes', () => {
  it.each([[320, 0], [320, 5], [390, 12], [559, 8], [600, 5], [660, 6], [700, 1], [700, 12], [1200, 7]])('at %i px with %i spokes nothing overlaps or leaves the picture', (width, n) => {
    const { hub, spokes, height } = layoutTopology({ width, hubId: 'hub', spokeIds: ids(n), serviceIds: [] });
    const all = hub ? [hub, ...spokes] : spokes;
    expect(spokes).toHaveLength(n);
    all.forEach((p, i) => {
      expect(p.x - p.width / 2).toBeGreaterThanOrEqual(-0.5);
      expect(p.x + p.width / 2).toBeLessThanOrEqual(width + 0.5);
      expect(p.y + p.height / 2).toBeLessThanOrEqual(height);
      all.slice(i + 1).forEach((q) => expect(overlap(p, q)).toBe(false));
    });
  });
  it('puts services around a hub that is alone, and a link to each', () => {
    const layout = layoutTopology({ width: 700, hubId: 'hub', spokeIds: [], serviceIds: ids(6) });
    expect(layout.services).toHaveLength(6);
    expect(layout.links).toHaveLength(6);
    expect(layout.spokes).toHaveLength(0);
  });
  it('draws no link without a hub', () => {
    expect(layoutTopology({ width: 700, hubId: null, spokeIds: ids(2), serviceIds: [] }).links).toEqual([]);
  });
});
