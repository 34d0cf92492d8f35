// A part is an outside program that tests run against. Its install.sh is run once, when a test file first names the part.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const inCI = process.env.CI === 'true';
const quick = process.env.HBCLOUD_TEST_QUICK === '1';

export interface Part {
  name: string;
  /** Where it is installed; meaningless while `skip` says something. */
  dir: string;
  /** Why tests that need the part are left out, or false. In CI an absent part is an error instead. */
  skip: string | false;
}

export interface PartOptions {
  /** Takes minutes to build: `./dev test --quick` leaves it out. */
  slow?: boolean;
  /** Its programs need root and a mount namespace of their own. */
  privileged?: boolean;
}

function absent(name: string, reason: string): Part {
  if (inCI) throw new Error(`the part ${name} is absent: ${reason}`);
  return { name, dir: '', skip: reason };
}

export function part(name: string, { slow = false, privileged = false }: PartOptions = {}): Part {
  if (quick && slow) return { name, dir: '', skip: `--quick leaves ${name} out` };
  if (privileged && spawnSync('unshare', ['--mount', '--propagation', 'unchanged', 'true']).status !== 0) {
    return absent(name, `${name} needs root and mount namespaces`);
  }
  const script = fileURLToPath(new URL(`${name}/install.sh`, import.meta.url));
  const run = spawnSync(script, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  if (run.status !== 0) return absent(name, `${name} could not be installed: ${run.stderr.trim().split('\n').at(-1)}`);
  return { name, dir: run.stdout.trim().split('\n').at(-1)!, skip: false };
}
