/** For tests: an engine that plays VMs, with homes that are real files; and backups that are made quickly. */
import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rm } from 'node:fs/promises';
import { homePaths } from '@airlock/contract/home';
import { newId } from '@airlock/contract/ids';
import type { Extent } from '../../engine/engine.js';
import { openTestEngine } from '../../engine/testing.js';
import { prepareSeal } from '../../lib/sealed-stream.js';
import { sealHome } from '../backup/form.js';
import type { TestVms } from '../testing.js';

export const passphrase = 'a passphrase of a test';
/** Of an example. */
export const homeBytes = 16 * 1024 * 1024;

/** Random content at the beginning, in the middle and at the end of a disk of so many bytes; the rest of it is holes. */
export function exampleHome(sizeBytes = homeBytes): Extent[] {
  return [0, sizeBytes / 2, sizeBytes - 8192].map((at) => ({ at, bytes: randomBytes(8192) }));
}

/** Homes as files below `host.database.home`. */
export interface RealHomes {
  path(vmId: string): string;
  read(vmId: string): Promise<Buffer>;
  write(vmId: string, sizeBytes: number, extents: readonly Extent[]): Promise<void>;
}

/** Call it before each test, once the engine is there. */
export async function useRealHomes({ database, engine }: TestVms): Promise<RealHomes> {
  const { vms, vm, vmFile } = homePaths(database.home);
  // What the test before has left.
  await rm(vms, { recursive: true, force: true });
  const { readHome, receiveHome, dropReceived, remove, lost } = openTestEngine(database.home);
  const homes: RealHomes = {
    path: (vmId) => vmFile(vmId, 'disk'),
    read: (vmId) => readFile(vmFile(vmId, 'disk')),
    async write(vmId, sizeBytes, extents) {
      await mkdir(vm(vmId), { recursive: true });
      const file = await open(vmFile(vmId, 'disk'), 'w');
      await file.truncate(sizeBytes);
      for (const { at, bytes } of extents) await file.write(bytes, 0, bytes.length, at);
      await file.close();
    },
  };
  const createHome = (vmId: string): Promise<void> => homes.write(vmId, homeBytes, exampleHome());
  Object.assign(engine, { readHome, receiveHome, dropReceived, remove, lost, createHome });
  return homes;
}

export async function* each<T>(items: Iterable<T>): AsyncGenerator<T, void> {
  yield* items;
}

export async function whole(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** A backup as a VM's owner has it; `homeKey` is what it holds. */
export async function makeBackup(
  extents = exampleHome(),
  sizeBytes = homeBytes,
): Promise<{ file: Buffer; homeKey: string; extents: Extent[]; sizeBytes: number }> {
  const homeKey = randomBytes(64).toString('base64');
  const about = { madeAt: new Date().toISOString(), vmId: newId('vm'), user: 'ada', imageId: 'img_000000' };
  const seal = await prepareSeal(passphrase, 4);
  const file = await whole(sealHome(seal, { ...about, sizeBytes, takenBytes: 24_576, homeKey }, each(extents)));
  return { file, homeKey, extents, sizeBytes };
}
