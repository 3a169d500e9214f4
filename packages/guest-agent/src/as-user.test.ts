/** What a program of the desktop user has and has not of the agent that starts it. */
import { chmod, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { asUser } from './as-user.js';
import { temporaryFolder } from './fixtures/config.js';
import { createProcesses, type RunOutcome } from './processes.js';

const isRoot = process.getuid?.() === 0;
const nobody = { uid: 65_534, gid: 65_534 };

function runAs(user: Parameters<typeof asUser>[2], script: string, cwd = '/'): Promise<RunOutcome> {
  const env = { PATH: '/usr/bin:/bin' };
  return createProcesses().run({ argv: ['sh', '-c', script], env, cwd, timeoutMs: 10_000, ...(user && { user }) });
}

it('starts the agent’s own user’s programs as they are', () => {
  const self = { uid: process.getuid?.() ?? 0, gid: 0, cgroup: '/nowhere' };
  expect(asUser(['codex', 'login'], '/home', self)).toEqual({ file: 'codex', args: ['login'], cwd: '/home' });
});

it.skipIf(!isRoot)(
  'has ids, cgroup and score of the user, and no group, folder or variable of root (needs root)',
  async () => {
    const folder = await temporaryFolder();
    await chmod(folder, 0o755);
    const script = 'id -ru; id -rG; cat /proc/self/oom_score_adj; tr "\\0" "\\n" </proc/$$/environ';
    const outcome = await runAs({ ...nobody, cgroup: folder }, script);
    expect(outcome.output).toBe('65534\n65534\n0\nPATH=/usr/bin:/bin\n');
    expect(await readFile(join(folder, 'cgroup.procs'), 'utf8')).toBe('0\n');
  },
);

it.skipIf(!isRoot)('does not start without its cgroup (needs root)', async () => {
  const outcome = await runAs({ ...nobody, cgroup: '/nowhere' }, 'echo started');
  expect(outcome.exitCode).not.toBe(0);
  expect(outcome.output).not.toContain('started');
});

it.skipIf(!isRoot)(
  'gets into no folder by root’s right, also by a link that was put in its place (needs root)',
  async () => {
    const folder = await temporaryFolder();
    await chmod(folder, 0o755);
    await mkdir(join(folder, 'secret'), { mode: 0o700 });
    await writeFile(join(folder, 'secret/key'), 'the key');
    await symlink('secret', join(folder, 'work'));
    const outcome = await runAs(nobody, 'cat key; echo started', join(folder, 'work'));
    expect(outcome).toMatchObject({ exitCode: 125, output: expect.stringContaining('Permission denied') as string });
    expect(outcome.output).not.toMatch(/the key|started/);
  },
);
