// Images made here, without any registry: a static demo service with busybox beside it.
// They reach an engine by import, or a registry by its own API, so that a pull is a real one.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Image {
  /** The root file system as an uncompressed tar: one layer. */
  rootfs: Buffer;
  /** The image's runtime settings, as in the OCI image configuration. */
  config: {
    Cmd: string[];
    Env: string[];
    ExposedPorts?: Record<string, object>;
    Labels?: Record<string, string>;
    Healthcheck?: { Test: string[]; Interval?: number; Timeout?: number; Retries?: number; StartPeriod?: number };
  };
}

export interface DemoOptions {
  /** Said by / and /version, and part of the layer, so that two versions share nothing. */
  version?: string;
  env?: Record<string, string>;
  /** Megabytes of incompressible ballast, for a pull that takes a while. */
  ballast?: number;
  labels?: Record<string, string>;
  /** Adds a HEALTHCHECK that asks /health. */
  healthcheck?: boolean;
}

const applets = ['sh', 'wget', 'cat', 'dd', 'echo', 'ls', 'sleep', 'rm', 'yes', 'true', 'false'];

function must(command: string, args: string[]): Buffer {
  const run = spawnSync(command, args, { maxBuffer: 1 << 30 });
  if (run.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${run.stderr ?? run.error}`);
  return run.stdout;
}

let demoProgram: string | undefined;

/** Compiles the demo once a process. */
function demoBinary(): string {
  if (demoProgram === undefined) {
    const dir = mkdtempSync(join(tmpdir(), 'hbcloud-demo-'));
    process.once('exit', () => rmSync(dir, { recursive: true, force: true }));
    demoProgram = join(dir, 'demo');
    const source = fileURLToPath(new URL('images/demo.c', import.meta.url));
    must('cc', ['-std=gnu17', '-O2', '-static', '-pthread', '-o', demoProgram, source]);
  }
  return demoProgram;
}

/** Equal input gives equal bytes, so that digests are stable. */
function tarOf(root: string): Buffer {
  return must('tar', ['-C', root, '--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '-c', '.']);
}

function busyboxRoot(): string {
  const root = mkdtempSync(join(tmpdir(), 'hbcloud-root-'));
  for (const folder of ['bin', 'tmp', 'etc', 'data']) mkdirSync(join(root, folder));
  copyFileSync('/bin/busybox', join(root, 'bin/busybox'));
  for (const applet of applets) symlinkSync('busybox', join(root, 'bin', applet));
  return root;
}

function ballastOf(megabytes: number, seed: string): Buffer {
  const blocks: Buffer[] = [];
  for (let i = 0; i < megabytes * 16_384; i++) blocks.push(createHash('sha512').update(`${seed}${i}`).digest());
  return Buffer.concat(blocks);
}

/** The demo service of tests/support/images/demo.c. */
export function demoImage({ version = '1', env = {}, ballast = 0, labels, healthcheck = false }: DemoOptions = {}): Image {
  const root = busyboxRoot();
  try {
    copyFileSync(demoBinary(), join(root, 'bin/demo'));
    writeFileSync(join(root, 'etc/demo-version'), `${version}\n`);
    if (ballast > 0) writeFileSync(join(root, 'data/ballast'), ballastOf(ballast, version));
    const variables: Record<string, string> = { PATH: '/bin', PORT: '8080', VERSION: version, ...env };
    return {
      rootfs: tarOf(root),
      config: {
        Cmd: ['/bin/demo'],
        Env: Object.entries(variables).map(([name, value]) => `${name}=${value}`),
        ExposedPorts: { '8080/tcp': {} },
        ...(labels && { Labels: labels }),
        ...(healthcheck && {
          Healthcheck: { Test: ['CMD-SHELL', 'wget -q -O - http://127.0.0.1:$PORT/health'], Interval: 1e9, Timeout: 2e9, Retries: 2 },
        }),
      },
    };
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** The end of a line for `shellImage`: stays, and ends at once when it is told to. */
export const stay = "trap 'exit 0' TERM; sleep 1000 & wait";

/** A shell that runs one line; for containers that print, write or burn. */
export function shellImage(script: string, env: Record<string, string> = {}): Image {
  const root = busyboxRoot();
  try {
    return {
      rootfs: tarOf(root),
      config: { Cmd: ['/bin/sh', '-c', script], Env: Object.entries({ PATH: '/bin', ...env }).map(([name, value]) => `${name}=${value}`) },
    };
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** An image's settings as the instructions that an engine's import takes. */
export function importChanges({ config }: Image): string[] {
  const changes = [`CMD ${JSON.stringify(config.Cmd)}`];
  for (const entry of config.Env) {
    const equals = entry.indexOf('=');
    changes.push(`ENV ${entry.slice(0, equals)}=${JSON.stringify(entry.slice(equals + 1))}`);
  }
  for (const port of Object.keys(config.ExposedPorts ?? {})) changes.push(`EXPOSE ${port}`);
  for (const [name, value] of Object.entries(config.Labels ?? {})) changes.push(`LABEL ${JSON.stringify(name)}=${JSON.stringify(value)}`);
  if (config.Healthcheck) {
    const { Test, Interval = 30e9, Timeout = 30e9, Retries = 3 } = config.Healthcheck;
    changes.push(`HEALTHCHECK --interval=${Interval / 1e9}s --timeout=${Timeout / 1e9}s --retries=${Retries} CMD ${Test[1]}`);
  }
  return changes;
}
