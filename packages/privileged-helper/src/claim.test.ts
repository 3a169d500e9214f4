import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { abandoned, claim, release } from './claim.js';

const vmId = 'vm_0123456789abcdef';
let run: string;
beforeEach(async () => {
  run = await mkdtemp(join(tmpdir(), 'airlock-claim-'));
});
afterEach(() => rm(run, { recursive: true }));

/** A process that runs these lines, with `claim`, `release`, `run` and `vmId` at hand; its exit code and what it said. */
async function inProcess(lines: string): Promise<[number | null, string]> {
  const script = `
    import { claim, release } from ${JSON.stringify(new URL('../dist/claim.js', import.meta.url).href)};
    import { mkdir, readdir, writeFile } from 'node:fs/promises';
    const [run, vmId] = ${JSON.stringify([run, vmId])};
    ${lines}`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return [code, said];
}

const killed = (lines: string): Promise<unknown> => inProcess(`${lines} process.kill(process.pid, 'SIGKILL');`);
const nothing = (): Promise<void> => Promise.resolve();

it('is one process’s at a time, whose folder the next one never finds half removed', async () => {
  const rounds = `
    let mine = 0;
    while (mine < 100) {
      const folder = await claim(run, vmId, async () => { throw new Error('nobody was killed'); }).catch((error) => {
        if (error.code !== 'runner_claim_refused') throw error;
      });
      if (!folder) continue;
      await mkdir(folder + '/s');
      const found = await readdir(folder);
      if (found.length !== 2) throw new Error('somebody else is here: ' + found);
      await release(run, vmId);
      mine += 1;
    }`;
  const ends = await Promise.all(Array.from({ length: 3 }, () => inProcess(rounds)));
  expect(ends).toEqual(ends.map(() => [0, '']));
  expect(await readdir(run)).toEqual([]);
});

it('gives back what a killed one has left, by the first who comes after it', async () => {
  await killed("await mkdir(await claim(run, vmId, async () => {}) + '/s');");
  expect(await abandoned(run)).toEqual({ vmIds: [vmId], aside: [] });
  const left: string[][] = [];
  await claim(run, vmId, async (folder) => void left.push(await readdir(folder)));
  expect(left).toEqual([['holder.json', 's']]);
  await expect(claim(run, vmId, nothing)).rejects.toMatchObject({ code: 'runner_claim_refused' });
  await release(run, vmId);
  expect(await readdir(run)).toEqual([]);
});

it('finds what one has left that was killed while it gave back what another one had left', async () => {
  await killed("await mkdir(await claim(run, vmId, async () => {}) + '/s');");
  await killed("await claim(run, vmId, async () => process.kill(process.pid, 'SIGKILL'));");
  const { vmIds, aside } = await abandoned(run);
  expect([vmIds, aside.map((one) => one.vmId)]).toEqual([[vmId], [vmId]]);
  expect(await readdir(aside[0]?.left ?? '')).toEqual(['holder.json', 's']);
});

it('leaves alone what lies aside of a process that lives', async () => {
  const own = join(run, `.${vmId}.${process.pid}.x`);
  await mkdir(own);
  await writeFile(join(own, 'holder.json'), '');
  expect(await abandoned(run)).toEqual({ vmIds: [], aside: [] });
});
