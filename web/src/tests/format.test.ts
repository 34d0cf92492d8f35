import { describe, expect, it } from 'vitest';
import { ago, bytes, duration, inUnit, percent, plural, uptime } from '@/lib/format';

describe('formatters', () => {
  it.each([[0, '0 B'], [1023, '1023 B'], [1024, '1.00 KiB'], [15_360, '15.0 KiB'], [1_073_741_824, '1.00 GiB'], [-2048, '-2.00 KiB'], [null, '–'], [NaN, '–']])('bytes(%s) is %s', (value, text) => {
    expect(bytes(value)).toBe(text);
  });
  it.each([[12, '12 ms'], [1500, '1.5 s'], [59_000, '59 s'], [61_000, '1 min 1 s'], [3_600_000, '1 h'], [90_061_000, '1 d 1 h'], [undefined, '–']])('duration(%s) is %s', (ms, text) => {
    expect(duration(ms)).toBe(text);
  });
  it('tells how long ago', () => {
    const now = Date.parse('2026-11-25T12:00:00Z');
    expect(ago('2026-11-25T11:59:58Z', now)).toBe('just now');
    expect(ago('2026-11-25T11:59:30Z', now)).toBe('30 s ago');
    expect(ago('2026-11-25T10:30:00Z', now)).toBe('1 h ago');
    expect(ago('2026-11-26T11:00:00Z', now)).toBe('in 23 h');
    expect(ago(null, now)).toBe('never');
    expect(ago('no time', now)).toBe('never');
  });
  it('keeps uptime as precise as it is and no more', () => {
    expect(uptime(99.95)).toBe('99.95%');
    expect(uptime(100)).toBe('100%');
    expect(uptime(99.999)).toBe('100%');
  });
  it('writes the rest', () => {
    expect(percent(7.25)).toBe('7.3%');
    expect(percent(72.5)).toBe('73%');
    expect(inUnit(2048, 'bytes/s')).toBe('2.00 KiB/s');
    expect(inUnit(null, 'celsius')).toBe('–');
    expect(plural(1, 'service')).toBe('1 service');
    expect(plural(2, 'entry', 'entries')).toBe('2 entries');
  });
});
