/* How numbers, sizes and times are written. Pure: the time "now" is always handed in. */

const SIZES = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

export const NOTHING = '–';

export function bytes(value: number | null | undefined, perSecond = false): string {
  if (value == null || !Number.isFinite(value)) return NOTHING;
  let n = Math.abs(value);
  let i = 0;
  while (n >= 1024 && i < SIZES.length - 1) {
    n /= 1024;
    i += 1;
  }
  const digits = i === 0 || n >= 100 ? 0 : n >= 10 ? 1 : 2;
  return `${value < 0 ? '-' : ''}${n.toFixed(digits)} ${SIZES[i]}${perSecond ? '/s' : ''}`;
}

export function percent(value: number | null | undefined, digits?: number): string {
  if (value == null || !Number.isFinite(value)) return NOTHING;
  return `${value.toFixed(digits ?? (value >= 10 || value === 0 ? 0 : 1))}%`;
}

export function number(value: number | null | undefined, digits = 2): string {
  if (value == null || !Number.isFinite(value)) return NOTHING;
  return value.toLocaleString('en', { maximumFractionDigits: digits });
}

/* Uptime keeps what it was measured with: 99.95 stays 99.95, 100 stays 100. */
export function uptime(value: number): string {
  return `${Number(value.toFixed(2))}%`;
}

export function duration(ms: number | null | undefined): string {
  if (ms == null || !Number.isFinite(ms)) return NOTHING;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const s = ms / 1000;
  if (s < 60) return `${s < 10 ? s.toFixed(1) : Math.round(s)} s`;
  const whole = Math.round(s);
  const [d, h, m] = [Math.floor(whole / 86400), Math.floor((whole % 86400) / 3600), Math.floor((whole % 3600) / 60)];
  if (d > 0) return h > 0 ? `${d} d ${h} h` : `${d} d`;
  if (h > 0) return m > 0 ? `${h} h ${m} min` : `${h} h`;
  return whole % 60 > 0 ? `${m} min ${whole % 60} s` : `${m} min`;
}

export function ago(iso: string | null | undefined, now: number): string {
  const at = iso ? Date.parse(iso) : NaN;
  if (Number.isNaN(at)) return 'never';
  const ms = now - at;
  if (ms < -5000) return `in ${coarse(-ms)}`;
  if (ms < 5000) return 'just now';
  return `${coarse(ms)} ago`;
}

function coarse(ms: number): string {
  const s = Math.round(ms / 1000);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86400)} d`;
}

export function dateTime(iso: string | number | null | undefined): string {
  const at = iso == null ? null : new Date(iso);
  if (!at || Number.isNaN(at.getTime())) return NOTHING;
  return at.toLocaleString(undefined, {
    year: 'numeric', month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23',
  });
}

export type Unit = 'percent' | 'bytes' | 'bytes/s' | 'number' | 'celsius';

export function inUnit(value: number | null | undefined, unit: Unit): string {
  switch (unit) {
    case 'percent': return percent(value);
    case 'bytes': return bytes(value);
    case 'bytes/s': return bytes(value, true);
    case 'celsius': return value == null ? NOTHING : `${value.toFixed(0)} °C`;
    case 'number': return number(value);
  }
}

export const plural = (n: number, one: string, many = `${one}s`) => `${number(n, 0)} ${n === 1 ? one : many}`;

/* "rolled_back" -> "rolled back"; "github_actions" -> "github actions" */
export const words = (snake: string) => snake.replaceAll('_', ' ');
