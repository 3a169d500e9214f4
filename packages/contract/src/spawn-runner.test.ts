import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { getPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { RunnerSecrets } from './runner.js';
import { spawnRunner } from './spawn-runner.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'al-spawn-'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

const secrets = { upstream: { url: 'http://u:canary-given@h:1', trialHosts: [] } } as unknown as RunnerSecrets;

test.each([true, false])(
  'a runner gets its secrets and nothing that its starter knows besides (outlives: %s)',
  async (outlives) => {
    vi.stubEnv('DATABASE_URL', 'postgres://u:canary-database@h/db');
    vi.stubEnv('AIRLOCK_UPSTREAM_PROXY', 'http://u:canary-upstream@h:{port}');
    const program = join(folder, 'runner.mjs');
    await writeFile(
      program,
      `import { readFileSync, writeFileSync } from 'node:fs';
     const given = { env: process.env, args: process.argv.slice(2), cwd: process.cwd(), input: readFileSync(0, 'utf8') };
     writeFileSync('given.json', JSON.stringify(given));
     throw new Error('cannot begin');`,
    );
    const { exited } = await spawnRunner({ program, folder, secrets, outlives, low: false });
    expect(await exited).toBe('ended (1)');
    const given = JSON.parse(await readFile(join(folder, 'given.json'), 'utf8')) as Record<string, unknown>;
    expect(given).toMatchObject({ args: [folder], cwd: folder, input: JSON.stringify(secrets) });
    expect(given['env']).toMatchObject({ PATH: process.env['PATH'] });
    expect(JSON.stringify(given['env'])).not.toContain('canary');
    expect(await readFile(join(folder, 'runner.log'), 'utf8')).toContain('cannot begin');
  },
);

test('one that cannot be spawned says why', async () => {
  vi.stubEnv('PATH', '/nowhere');
  const { child, exited } = await spawnRunner({
    program: join(folder, 'runner.mjs'),
    folder,
    secrets,
    outlives: false,
    low: false,
  });
  expect(await exited).toMatch(/^could not be started: spawn setpriv ENOENT$/);
  expect(child.pid).toBeUndefined();
});

/** How our session weighs beside others; null where the kernel does not tell. */
const ourSession = () => readFile('/proc/self/autogroup', 'utf8').catch(() => null);

test.each([true, false])(
  'one at low weight, and what it starts, come after others (outlives: %s)',
  async (outlives) => {
    const program = join(folder, 'runner.mjs');
    await writeFile(
      program,
      `import { execFileSync } from 'node:child_process';
     import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
     const read = (path) => (existsSync(path) ? readFileSync(path, 'utf8') : null);
     // Field 19, counted from behind the name.
     const niceness = (stat) => Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]);
     const given = {
       threads: readdirSync('/proc/self/task').map((id) => niceness(read('/proc/self/task/' + id + '/stat'))),
       started: niceness(execFileSync('cat', ['/proc/self/stat'], { encoding: 'utf8' })),
       command: read('/proc/self/cmdline'),
       session: read('/proc/self/autogroup'),
       pid: process.pid,
       input: readFileSync(0, 'utf8'),
     };
     writeFileSync('given.json', JSON.stringify(given));`,
    );
    const ours = await ourSession();
    const { child, exited } = await spawnRunner({ program, folder, secrets, outlives, low: true });
    expect(await exited).toBe('ended (0)');
    const given = JSON.parse(await readFile(join(folder, 'given.json'), 'utf8')) as Record<string, unknown>;
    const lower = Math.min(19, getPriority() + 10);
    expect(new Set(given['threads'] as number[])).toEqual(new Set([lower]));
    expect(given).toMatchObject({ started: lower, pid: child.pid, input: JSON.stringify(secrets) });
    expect(given['command']).toBe([process.execPath, program, folder, ''].join('\0'));
    if (ours !== null && outlives) expect(given['session']).toMatch(/ nice 10$/m);
    // One that shares our session leaves that as it is.
    expect(await ourSession()).toBe(ours);
    expect(await readFile(join(folder, 'runner.log'), 'utf8')).toBe('');
  },
);
