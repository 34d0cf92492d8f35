// A real nginx, as the proxy in front of the hub or as the peer in a benchmark.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Process } from '../process.ts';
import { freePort, waitFor } from '../wait.ts';
import { part } from './part.ts';

const installed = part('nginx');

export interface NginxOptions {
  /** The inside of `server { listen …; }`. */
  server: string;
  /** Further lines of `http { }`. */
  http?: string;
  workers?: number;
  /** Files below the folder that `root` of the server is, by relative path. */
  files?: Record<string, string | Uint8Array>;
}

export class Nginx {
  static readonly skip = installed.skip;
  readonly url: string;
  readonly dir: string;
  #process: Process;

  private constructor(url: string, dir: string, started: Process) {
    this.url = url;
    this.dir = dir;
    this.#process = started;
  }

  static async start(options: NginxOptions, t?: TestContext): Promise<Nginx> {
    const dir = mkdtempSync(join(tmpdir(), 'hbcloud-nginx-'));
    const port = await freePort();
    for (const [path, content] of Object.entries({ '.keep': '', ...options.files })) {
      mkdirSync(join(dir, 'www', path, '..'), { recursive: true });
      writeFileSync(join(dir, 'www', path), content);
    }
    writeFileSync(join(dir, 'nginx.conf'), nginxConfig(dir, port, options));
    const started = Process.start(join(installed.dir, 'usr/sbin/nginx'), ['-p', dir, '-c', join(dir, 'nginx.conf'), '-e', 'stderr']);
    const nginx = new Nginx(`http://127.0.0.1:${port}`, dir, started);
    t?.after(() => nginx.stop());
    await waitFor(
      async () => {
        if (started.ended !== undefined) throw new Error(started.output);
        return (await fetch(`${nginx.url}/.keep`, { signal: AbortSignal.timeout(2000) })).status > 0;
      },
      { what: 'readiness of nginx' },
    );
    return nginx;
  }

  get pid(): number {
    return this.#process.pid;
  }

  async stop(): Promise<void> {
    if (this.#process.ended === undefined) await this.#process.stop();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

function nginxConfig(dir: string, port: number, { server, http = '', workers = 1 }: NginxOptions): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${dir}/${kind};`).join(' ');
  return `daemon off;
${process.getuid?.() === 0 ? 'user root;' : ''}
worker_processes ${workers};
pid ${dir}/nginx.pid;
error_log stderr warn;
events { worker_connections 8192; }
http {
  access_log off;
  ${temporary}
  ${http}
  server {
    listen 127.0.0.1:${port} backlog=4096;
    root ${dir}/www;
    ${server}
  }
}
`;
}
