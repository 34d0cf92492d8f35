import { describe, expect, it } from 'vitest';
import { join, linesOf, type LogLine } from '@/lib/logs';

const stamp = (n: number) => `2026-11-25T12:00:0${n}.000000001Z`;
const line = (n: number, text: string, stream: LogLine['stream'] = 'stdout'): LogLine => ({ stream, time: stamp(n), text });

describe('log lines', () => {
  it('parts frames into lines, streams apart, times off', () => {
    expect(linesOf({ truncated: false, frames: [
      { stream: 'stdout', data: `${stamp(1)} one\n${stamp(2)} tw` }, { stream: 'stderr', data: `${stamp(2)} oh\n` }, { stream: 'stdout', data: 'o\nbare' },
    ] })).toEqual([line(1, 'one'), line(2, 'oh', 'stderr'), line(2, 'two'), { stream: 'stdout', time: '', text: 'bare' }]);
  });
  it('shows bytes that are not text, and no terminal codes', () => {
    const [first, second] = linesOf({ truncated: false, frames: [{ stream: 'stdout', base64: btoa('\xff\xfe\n') }, { stream: 'stdout', data: '\u001b[31mred\u001b[0m\r\n' }] });
    expect(first?.text).toBe('\ufffd\ufffd');
    expect(second?.text).toBe('red');
  });
  it('joins a follow without doubling and without losing lines of the same instant', () => {
    const known = [line(1, 'a'), line(2, 'b')];
    expect(join(known, [line(2, 'b'), line(2, 'c'), line(3, 'd')], 10).map((l) => l.text)).toEqual(['a', 'b', 'c', 'd']);
    expect(join(known, [line(2, 'b')], 10)).toBe(known);
    expect(join([], [line(1, 'x')], 10)).toHaveLength(1);
  });
  it('keeps no more than asked', () => {
    expect(join([line(1, 'a'), line(2, 'b')], [line(3, 'c')], 2).map((l) => l.text)).toEqual(['b', 'c']);
  });
});
