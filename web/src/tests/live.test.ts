import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { retryLive, startLive, stopLive, useLive, waitSeconds } from '@/state/live';

class FakeSource {
  static all: FakeSource[] = [];
  onopen: (() => void) | null = null;
  onerror: (() => void) | null = null;
  closed = false;
  listeners = new Map<string, (m: { data: string }) => void>();
  constructor(public url: string) { FakeSource.all.push(this); }
  addEventListener(type: string, listen: (m: { data: string }) => void) { this.listeners.set(type, listen); }
  close() { this.closed = true; }
}
const last = () => FakeSource.all.at(-1) as FakeSource;
const phase = () => useLive.getState().link.phase;

beforeEach(() => {
  FakeSource.all = [];
  vi.useFakeTimers();
  vi.stubGlobal('EventSource', FakeSource);
});
afterEach(() => {
  stopLive();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe('the live connection', () => {
  it('opens, hands on events, and counts a reset as a gap', () => {
    const onEvent = vi.fn();
    startLive({ onEvent, mayRetry: async () => true });
    last().onopen?.();
    expect(phase()).toBe('open');
    last().listeners.get('node.deleted')?.({ data: '{"id":"1","type":"node.deleted","entityId":"a"}' });
    expect(onEvent).toHaveBeenCalledWith(expect.objectContaining({ entityId: 'a' }));
    const before = useLive.getState().gap;
    last().listeners.get('stream.reset')?.({ data: '' });
    expect(useLive.getState().gap).toBe(before + 1);
  });

  it('waits longer each time, and reads everything again once it is back', async () => {
    startLive({ onEvent: vi.fn(), mayRetry: async () => true });
    last().onopen?.();
    const before = useLive.getState().gap;
    last().onerror?.();
    expect(useLive.getState().link).toMatchObject({ phase: 'waiting', attempt: 1 });
    await vi.advanceTimersByTimeAsync(1000);
    last().onerror?.();
    expect(useLive.getState().link).toMatchObject({ phase: 'waiting', attempt: 2 });
    await vi.advanceTimersByTimeAsync(1900);
    expect(FakeSource.all).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(100);
    expect(FakeSource.all).toHaveLength(3);
    last().onopen?.();
    expect(phase()).toBe('open');
    expect(useLive.getState().gap).toBe(before + 1);
    expect([1, 2, 3, 99].map(waitSeconds)).toEqual([1, 2, 4, 30]);
  });

  it('tries at once when asked, and stops when the session has ended', async () => {
    const mayRetry = vi.fn(async () => true);
    startLive({ onEvent: vi.fn(), mayRetry });
    last().onerror?.();
    retryLive();
    await vi.advanceTimersByTimeAsync(0);
    expect(FakeSource.all).toHaveLength(2);
    mayRetry.mockResolvedValue(false);
    last().onerror?.();
    await vi.advanceTimersByTimeAsync(30_000);
    expect(phase()).toBe('off');
    expect(FakeSource.all).toHaveLength(2);
  });
});
