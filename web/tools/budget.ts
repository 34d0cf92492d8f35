/* Fails the build when the first load or a route outgrows its budget (KiB, gzip), and lists the sizes. */
import { gzipSync } from 'node:zlib';
import type { Plugin, Rollup } from 'vite';

export interface Budget {
  entry: string; // the dashboard's; other pages, such as the API reference, are listed without a limit
  firstLoad: number;
  route: number;
}

const kib = (bytes: number) => bytes / 1024;

function gzipped(file: Rollup.OutputAsset | Rollup.OutputChunk): number {
  return kib(gzipSync(file.type === 'chunk' ? file.code : file.source, { level: 9 }).length);
}

/* The files a browser fetches for one chunk: itself, its static imports and the style sheets of all of them. */
function closure(bundle: Rollup.OutputBundle, start: string): Set<string> {
  const seen = new Set<string>();
  const visit = (name: string) => {
    const file = bundle[name];
    if (!file || seen.has(name)) return;
    seen.add(name);
    if (file.type !== 'chunk') return;
    file.imports.forEach(visit);
    const css = (file as Rollup.OutputChunk & { viteMetadata?: { importedCss: Set<string> } }).viteMetadata?.importedCss;
    css?.forEach(visit);
  };
  visit(start);
  return seen;
}

export function budget(limits: Budget): Plugin {
  return {
    name: 'hbcloud-budget',
    apply: 'build',
    enforce: 'post',
    writeBundle(_options, bundle) {
      const chunks = Object.values(bundle).filter((f) => f.type === 'chunk');
      const entry = chunks.find((c) => c.isEntry && c.name === limits.entry);
      if (!entry) this.error(`no entry named ${limits.entry}`);
      const size = (names: Iterable<string>) =>
        [...names].reduce((sum, name) => sum + (bundle[name] ? gzipped(bundle[name]) : 0), 0);
      const first = closure(bundle, entry.fileName);
      const rows: [string, number, number][] = [['first load', size(first), limits.firstLoad]];
      for (const chunk of chunks.filter((c) => c.isDynamicEntry)) {
        const extra = [...closure(bundle, chunk.fileName)].filter((name) => !first.has(name));
        rows.push([`route ${chunk.name}`, size(extra), limits.route]);
      }
      for (const page of chunks.filter((c) => c.isEntry && c !== entry)) {
        rows.push([`page ${page.name}`, size(closure(bundle, page.fileName)), Infinity]);
      }
      console.log('\nbudgets (KiB, gzip)');
      for (const [name, is, limit] of rows) {
        console.log(`  ${name.padEnd(28)} ${is.toFixed(1).padStart(7)} of ${limit === Infinity ? 'any size' : limit} ${is > limit ? '  TOO LARGE' : ''}`);
      }
      const over = rows.filter(([, is, limit]) => is > limit);
      if (over.length > 0) this.error(`over budget: ${over.map(([name]) => name).join(', ')}`);
    },
  };
}
