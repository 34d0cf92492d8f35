import { describe, expect, it } from 'vitest';
import { append, bridge, busiest, endOfStep, frame, notAfter, summary, type Line } from '@/lib/series';

const line = (label: string, points: (number | null)[][]): Line => ({ label, series: { tags: {}, points } });

describe('chart data', () => {
  it('lays lines with different times on one axis and keeps gaps', () => {
    const data = frame([line('a', [[1000, 1], [3000, 3]]), line('b', [[2000, null], [3000, 30]])]);
    expect(data.times).toEqual([1, 2, 3]);
    expect(data.columns).toEqual([{ label: 'a', values: [1, null, 3] }, { label: 'b', values: [null, null, 30] }]);
  });
  it('begins where the first value is', () => {
    expect(frame([line('a', [[1000, null], [2000, 5], [3000, null]])])).toEqual({ times: [2, 3], columns: [{ label: 'a', values: [5, null] }] });
    expect(frame([line('a', [[1000, null]])]).times).toEqual([]);
  });
  it('is empty when nothing matched', () => {
    expect(frame([])).toEqual({ times: [], columns: [] });
  });
  it('appends a live value, ignores a late one, drops what left the window', () => {
    const data = frame([line('a', [[0, 1], [10_000, 2]])]);
    const grown = append(data, 20, { a: 3 }, 15);
    expect(grown.times).toEqual([10, 20]);
    expect(grown.columns[0]?.values).toEqual([2, 3]);
    expect(append(grown, 20, { a: 9 }, 15)).toBe(grown);
    expect(append(grown, 30, {}, 15).columns[0]?.values).toEqual([3, null]);
  });
  it('begins a line with its first sample, where a young hub had none yet', () => {
    const grown = append(append(frame([]), 10, { cpu: 5 }, 60), 20, { cpu: 6, steal: 1 }, 60);
    expect(grown).toEqual({ times: [10, 20], columns: [{ label: 'cpu', values: [5, 6] }, { label: 'steal', values: [null, 1] }] });
  });
  it('counts the step under way, at the present', () => {
    expect(endOfStep(61_000, '1m')).toBe(120_000);
    expect(endOfStep(7_200_000, '1h')).toBe(7_200_000);
    expect(notAfter({ tags: {}, points: [[60_000, 1], [120_000, 2]] }, 61_000).points).toEqual([[60_000, 1], [61_000, 2]]);
  });
  it('goes on over a step without a sample, and breaks at an outage', () => {
    expect(bridge([1, null, 3, null, null, null, 7, null], 2)).toEqual([1, undefined, 3, null, null, null, 7, null]);
    expect(bridge([null, 1], 2)).toEqual([null, 1]);
  });
  it('sums up, nulls left out', () => {
    expect(summary([null, 2, 4, null])).toEqual({ now: 4, min: 2, max: 4, avg: 3 });
    expect(summary([null])).toEqual({ now: null, min: null, max: null, avg: null });
  });
  it('shows the busiest lines when there are too many', () => {
    const lines = [line('idle', [[0, 0]]), line('busy', [[0, 90]]), line('some', [[0, 5]])];
    expect(busiest(lines, 2).map((l) => l.label)).toEqual(['busy', 'some']);
  });
});
