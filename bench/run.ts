// The figures of the product, each against its goal and where there is one its peer, in one run on one machine.
//   ./dev bench [--quick] [--write] [list|idle|start|scale|fanout|deploy|routes|checks ...]
// The table goes to stdout, all of it with the machine to bench/results/<date>.json, and with --write into bench/README.md.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { measureChecks } from './checks.ts';
import { measureDeploy } from './deploy.ts';
import { measureFanout } from './fanout.ts';
import { measureIdle, measureStart } from './footprint.ts';
import { measureList } from './list.ts';
import { measureRoutes } from './routes.ts';
import { measureScale } from './scale.ts';
import { isMet, ratioOf, table, type Row } from './table.ts';

const cases: Record<string, (quick: boolean) => Promise<Row[]>> = {
  list: measureList,
  start: measureStart,
  idle: measureIdle,
  scale: measureScale,
  fanout: measureFanout,
  deploy: measureDeploy,
  routes: measureRoutes,
  checks: measureChecks,
};

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const options = process.argv.slice(2).filter((argument) => argument.startsWith('--'));
const named = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const wrong = [...options.filter((option) => !['--quick', '--write'].includes(option)), ...named.filter((name) => !(name in cases))];
if (wrong.length > 0) {
  console.error(`bench: there is no ${wrong[0]}. Cases: ${Object.keys(cases).join(' ')}; options: --quick --write`);
  process.exit(2);
}
const quick = options.includes('--quick');

function revision(): string {
  try {
    return execFileSync('git', ['describe', '--always', '--dirty'], { cwd: here('.'), encoding: 'utf8' }).trim();
  } catch {
    return 'unknown';
  }
}

function machine(): string {
  const os = /^PRETTY_NAME="(.*)"$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'Linux';
  return `${cpus().length} × ${cpus()[0]!.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${os}, Linux ${release()}`;
}

function writeReadme(text: string): void {
  const file = here('README.md');
  const [start, end] = ['<!-- figures -->', '<!-- end of figures -->'];
  const old = readFileSync(file, 'utf8');
  const [before, after] = [old.indexOf(start), old.indexOf(end)];
  if (before < 0 || after < before) throw new Error(`${file} has no place for the figures`);
  writeFileSync(file, `${old.slice(0, before + start.length)}\n${text}\n${old.slice(after)}`);
}

const began = new Date();
const loadBefore = loadavg()[0]!;
const rows: Row[] = [];
for (const name of named.length > 0 ? named : Object.keys(cases)) {
  const started = performance.now();
  rows.push(...(await cases[name]!(quick)));
  console.error(`bench: ${name} took ${Math.round((performance.now() - started) / 1000)} s`);
}
const load = `load average ${loadBefore.toFixed(1)} before, ${loadavg()[0]!.toFixed(1)} after`;
const origin = `${began.toISOString().slice(0, 10)}, revision ${revision()}, ${machine()}; ${load}.`;
console.log(`${table(rows)}\n\n${origin}`);

mkdirSync(here('results'), { recursive: true });
const result = { at: began.toISOString(), revision: revision(), machine: machine(), load, quick, rows: rows.map((row) => ({ ...row, ratio: ratioOf(row), met: isMet(row) })) };
writeFileSync(here(`results/${began.toISOString().slice(0, 19).replaceAll(':', '')}.json`), `${JSON.stringify(result, null, 2)}\n`);
if (options.includes('--write')) writeReadme(`${table(rows)}\n\n${origin}`);
