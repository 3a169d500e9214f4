import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, it } from 'vitest';

const weight = import.meta.resolve('@airlock/runner/lib/weight');

/** What a process of its own says: whether its weight could be set, and how its session weighs then. */
async function weigh(detached: boolean): Promise<unknown> {
  const script = `
    import { readFileSync } from 'node:fs';
    const { setWeight } = await import(${JSON.stringify(weight)});
    const read = () => { try { return readFileSync('/proc/self/autogroup', 'utf8').trim().split(' ').at(-1); } catch { return null; } };
    console.log(JSON.stringify([await setWeight(10), read(), await setWeight(0), read()]));`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    detached,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await once(child, 'close');
  return JSON.parse(said);
}

it('goes down and up again with the session that it leads', async () => {
  const [isSet, low, isBack, usual] = (await weigh(true)) as unknown[];
  expect([isBack, low, usual]).toEqual(isSet ? [true, '10', '0'] : [false, null, null]);
});

it('leaves a session of others alone', async () => {
  const [isSet, before, isBack, after] = (await weigh(false)) as unknown[];
  expect([isSet, isBack, after]).toEqual([false, false, before]);
});
