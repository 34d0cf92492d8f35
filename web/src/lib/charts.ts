/* Which metrics make which chart. A table: adding a chart is adding a row. */
import type { Unit } from './format';

export interface Query {
  name: string;
  label: string;
  fn?: 'avg' | 'max' | 'rate';
  each?: string; // one line for each value of this tag
  except?: string; // but this one
}

export interface ChartSpec {
  title: string;
  unit: Unit;
  max?: number;
  queries: Query[];
  optional?: boolean; // not every machine has it: no samples or nothing but zeros, no chart
}

export const NODE_CHARTS: ChartSpec[] = [
  { title: 'CPU', unit: 'percent', max: 100, queries: [{ name: 'cpu.usage.percent', label: 'in use' }] },
  { title: 'Memory', unit: 'bytes', queries: [{ name: 'memory.used.bytes', label: 'used' }, { name: 'memory.total.bytes', label: 'total' }] },
  { title: 'Network', unit: 'bytes/s', queries: [
    { name: 'network.receive.bytes', label: 'in', fn: 'rate', each: 'interface' },
    { name: 'network.transmit.bytes', label: 'out', fn: 'rate', each: 'interface' },
  ] },
  { title: 'Disk I/O', unit: 'bytes/s', queries: [
    { name: 'disk.read.bytes', label: 'read', fn: 'rate', each: 'device' },
    { name: 'disk.write.bytes', label: 'write', fn: 'rate', each: 'device' },
  ] },
  { title: 'Load', unit: 'number', queries: [{ name: 'load.1', label: '1 min' }, { name: 'load.5', label: '5 min' }, { name: 'load.15', label: '15 min' }] },
  { title: 'CPU by state', unit: 'percent', queries: [{ name: 'cpu.state.percent', label: '', each: 'state', except: 'idle' }] },
  { title: 'Disk space', unit: 'percent', max: 100, queries: [{ name: 'filesystem.used.percent', label: '', each: 'mount' }] },
  { title: 'Pressure', unit: 'percent', optional: true, queries: [
    { name: 'pressure.cpu.some.percent', label: 'CPU' },
    { name: 'pressure.memory.some.percent', label: 'memory' },
    { name: 'pressure.io.some.percent', label: 'I/O' },
  ] },
  { title: 'Swap', unit: 'bytes', optional: true, queries: [{ name: 'swap.used.bytes', label: 'used' }, { name: 'swap.total.bytes', label: 'total' }] },
  { title: 'Inodes', unit: 'percent', max: 100, optional: true, queries: [{ name: 'filesystem.inodes.used.percent', label: '', each: 'mount' }] },
  { title: 'Open descriptors', unit: 'number', optional: true, queries: [{ name: 'descriptors.used', label: 'open' }] },
  { title: 'Temperature', unit: 'celsius', optional: true, queries: [{ name: 'temperature.celsius', label: '', each: 'sensor' }] },
];

/* A container without a limit has the machine's memory as its limit, which would flatten the line that matters. */
const MEMORY = { name: 'container.memory.used.bytes', label: 'used' };
const MEMORY_LIMIT = { name: 'container.memory.limit.bytes', label: 'limit' };

const serviceCharts = (limited: boolean): ChartSpec[] => [
  { title: 'CPU', unit: 'percent', queries: [{ name: 'container.cpu.percent', label: 'in use' }] },
  { title: 'Memory', unit: 'bytes', queries: limited ? [MEMORY, MEMORY_LIMIT] : [MEMORY] },
  { title: 'Network', unit: 'bytes/s', queries: [
    { name: 'container.network.receive.bytes', label: 'in', fn: 'rate' },
    { name: 'container.network.transmit.bytes', label: 'out', fn: 'rate' },
  ] },
  { title: 'Disk I/O', unit: 'bytes/s', queries: [
    { name: 'container.io.read.bytes', label: 'read', fn: 'rate' },
    { name: 'container.io.write.bytes', label: 'write', fn: 'rate' },
  ] },
];
export const SERVICE_CHARTS = serviceCharts(false);
export const LIMITED_SERVICE_CHARTS = serviceCharts(true);
