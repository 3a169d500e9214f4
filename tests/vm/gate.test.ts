/** The boot gate, on the golden image that the other tests use: what `airlock image verify` runs. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { run } from '@airlock/contract/process';
import { runnerFiles } from '@airlock/contract/runner';
import { runGate, type Kills } from '@airlock/image-builder/gate/gate';
import { createTestHome } from '../support/home.js';
import { takeSnapshot, untilNoLeaks } from '../support/leaks.js';
import { until } from '../support/poll.js';

/** All that `airlock image verify` kills with `npm run soak -- --only image`. */
const some: Kills = { parts: ['x11vnc', 'terminal', 'agent'], inARow: 1 };
const kills = process.env['TEST_IMAGE'] === 'all' ? undefined : some;

/** Names in the two places where gates have their folders. */
async function gateFolders(): Promise<string[]> {
  const names = await Promise.all(
    ['/var/tmp', process.env['XDG_RUNTIME_DIR'] ?? '/dev/shm'].map((place) => readdir(place)),
  );
  return names.flat().filter((name) => name.startsWith('airlock-gate-'));
}

const isNamedByAProcess = async (text: string): Promise<boolean> =>
  (await run('pgrep', ['--full', '--', text], { okCodes: [0, 1] })).exitCode === 0;

it('takes its VM with it when it is killed; its folders go with the next gate', async ({ signal }) => {
  const home = await createTestHome();
  const program = `const { runGate } = await import('${import.meta.resolve('@airlock/image-builder/gate/gate')}');
    await runGate('${home.image}', { signal: new AbortController().signal, note() {}, full: false });`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], { stdio: 'ignore' });
  const own = async (): Promise<string[]> =>
    (await gateFolders()).filter((name) => name.startsWith(`airlock-gate-${child.pid}-`));
  const booting = async (): Promise<string | null> => {
    const folders = await own();
    const found = folders.map((name) =>
      readFile(join('/var/tmp', name, runnerFiles.serialLog), 'utf8').catch(() => ''),
    );
    return (await Promise.all(found)).join('') === '' ? null : (folders[0] ?? null);
  };
  const folder = await until('the gate’s VM to say something', booting, { timeoutMs: 60_000, signal });
  const { vmId } = JSON.parse(await readFile(join('/var/tmp', folder, runnerFiles.spec), 'utf8')) as { vmId: string };
  expect(await isNamedByAProcess(vmId)).toBe(true);
  child.kill('SIGKILL');
  await once(child, 'exit');
  await until('the VM to end', async () => !(await isNamedByAProcess(vmId)), { timeoutMs: 10_000, signal });
  expect(await own()).toHaveLength(2);
  // A gate that cannot even begin: what matters here is done before.
  await expect(runGate('/nowhere', { signal, note: () => undefined, full: false })).rejects.toThrow('ENOENT');
  expect(await own()).toEqual([]);
  await home.remove();
}, 120_000);

it('passes: boots, shows both windows, and heals after every kill', async ({ signal }) => {
  const home = await createTestHome();
  const before = await takeSnapshot({ home: home.path });
  const notes: string[] = [];
  const note = (line: string): void => void notes.push(line);
  const report = await runGate(home.image, { signal, note, full: true, ...(kills && { kills }) });
  expect(report, notes.join('\n')).toMatchObject({ passed: true });
  expect(report.figures['kills']).toBe(kills ? 4 : 26);
  expect(report.steps.at(-1)).toMatchObject({ name: 'nothing of the image changes', ok: true });
  await untilNoLeaks(before, 20_000);
  await home.remove();
}, 900_000);
