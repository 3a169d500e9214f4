import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { makeGateFolders, removeDeadGates } from './folders.js';

async function makePlaces(): Promise<{ disk: string; memory: string }> {
  const root = await mkdtemp(join(tmpdir(), 'airlock-folders-'));
  onTestFinished(() => rm(root, { recursive: true }));
  const places = { disk: join(root, 'disk'), memory: join(root, 'memory') };
  await Promise.all(Object.values(places).map((place) => mkdir(place)));
  return places;
}

const suffix = 'AbCdEf';
/** The name that this process would have given, with another process number. */
const namedFor = (name: string, pid: number): string =>
  name.replace(/^airlock-gate-\d+-/, `airlock-gate-${pid}-`).slice(0, -suffix.length) + suffix;

it('leaves the folders of a living process alone, and removes its own at the end', async () => {
  const places = await makePlaces();
  const own = await makeGateFolders(places);
  expect([dirname(own.folder), dirname(own.secretFolder)]).toEqual([places.disk, places.memory]);
  expect(await removeDeadGates(places)).toEqual([]);
  await own.remove();
  await own.remove();
  expect([await readdir(places.disk), await readdir(places.memory)]).toEqual([[], []]);
});

it('removes what a dead process has left, and ends what still works there', async () => {
  const places = await makePlaces();
  const own = await makeGateFolders(places);
  const [left, leftSecrets] = [own.folder, own.secretFolder].map((path) =>
    join(dirname(path), namedFor(basename(path), 999_999_999)),
  );
  for (const path of [left!, leftSecrets!]) await mkdir(path);
  const works = spawn('sleep', ['60'], { argv0: `sleep-in-${left}` });
  const exited = once(works, 'exit');
  await once(works, 'spawn');
  // A folder whose process number now belongs to another process, and things that are no gate's.
  const reused = join(places.disk, namedFor(basename(own.folder), 1));
  const others = ['airlock-gate-', 'airlock-gate-x', 'airlock-image-1-2-aaaaaaaa-x'].map((name) =>
    join(places.disk, name),
  );
  for (const path of [reused, ...others]) await mkdir(path);

  const { remove } = await makeGateFolders(places);
  expect((await exited)[1]).toBe('SIGKILL');
  const names = await readdir(places.disk);
  expect(names).toEqual(expect.arrayContaining([basename(own.folder), ...others.map((path) => basename(path))]));
  expect(names).not.toContain(basename(left!));
  expect(names).not.toContain(basename(reused));
  expect(await readdir(places.memory)).not.toContain(basename(leftSecrets!));
  await Promise.all([remove(), own.remove()]);
});
