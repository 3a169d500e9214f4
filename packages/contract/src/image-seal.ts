/**
 * The seal of an image: which files were hashed, as what, and how to tell that they have not been touched since. Whoever finds
 * the seal unbroken needs not read gigabytes again.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { AppError } from './errors.js';
import { replaceFile } from './file.js';
import { imageFiles, type Artefact, type ImageManifest } from './image.js';

/** By file name: what was hashed, and as what. The times change with every write, also one that keeps the size. */
const Seal = z.record(
  z.string(),
  z.strictObject({
    dev: z.string(),
    ino: z.string(),
    size: z.string(),
    mtimeNs: z.string(),
    ctimeNs: z.string(),
    sha256: z.string(),
  }),
);
type Seal = z.infer<typeof Seal>;
type Touch = Omit<Seal[string], 'sha256'>;

async function touchOf(path: string): Promise<Touch | null> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return {
      dev: String(dev),
      ino: String(ino),
      size: String(size),
      mtimeNs: String(mtimeNs),
      ctimeNs: String(ctimeNs),
    };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** SHA-256 of a file, lower-case hex. Holes of a sparse file count as zeros. */
export async function hashFile(path: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  // Small enough that a server goes on answering between two pieces.
  const source = createReadStream(path, { highWaterMark: 512 * 1024 });
  await pipeline(source, hash, ...(signal ? [{ signal }] : []));
  return hash.digest('hex');
}

/** The files that a manifest names: what a VM is made from, and the bill of materials. */
export function filesOf(manifest: ImageManifest): Artefact[] {
  return [...Object.values(manifest.artefacts), ...(manifest.sbom ? [manifest.sbom] : [])];
}

/**
 * Files that are absent or have another size: the quick look.
 * @throws AppError image_corrupt naming the first such file
 */
export async function checkSizes(folder: string, files: readonly Artefact[]): Promise<void> {
  for (const { file, size } of files) {
    const found = await touchOf(join(folder, file));
    if (found?.size === String(size)) continue;
    throw corrupt(
      folder,
      `${file}: ${found ? `${found.size} bytes` : 'no such file'}, but its manifest says ${size} bytes`,
    );
  }
}

/**
 * Compares files of the image in `folder` with its manifest. Those that an unbroken seal vouches for are not read again, unless
 * `anew`; the others are hashed, seconds for a root file system, and sealed.
 * @throws AppError image_corrupt naming every file that is not what the manifest says
 */
export async function checkFiles(
  folder: string,
  files: readonly Artefact[],
  { anew = false, signal }: { anew?: boolean; signal?: AbortSignal } = {},
): Promise<void> {
  await checkSizes(folder, files);
  const seal = anew ? {} : await readSeal(folder);
  const problems: string[] = [];
  let hashed = false;
  for (const { file, sha256 } of files) {
    const touch = await touchOf(join(folder, file));
    if (touch && sealed(seal[file], touch, sha256)) continue;
    const found = await hashFile(join(folder, file), signal);
    if (found === sha256 && touch) seal[file] = { ...touch, sha256 };
    else problems.push(`${file}: SHA-256 ${found.slice(0, 12)}…, but its manifest says ${sha256.slice(0, 12)}…`);
    hashed = true;
  }
  if (problems.length > 0) throw corrupt(folder, problems.join('; '));
  if (hashed) await writeSeal(folder, seal);
}

/** Seals files whose SHA-256 the caller has just computed and that nobody else can have written to. */
export async function sealFiles(folder: string, files: readonly Artefact[]): Promise<void> {
  const seal: Seal = {};
  for (const { file, sha256 } of files) {
    const touch = await touchOf(join(folder, file));
    if (touch) seal[file] = { ...touch, sha256 };
  }
  await writeSeal(folder, seal);
}

/** True when an unbroken seal vouches for all these files: costs one read and a stat for each. */
export async function isSealed(folder: string, files: readonly Artefact[]): Promise<boolean> {
  const seal = await readSeal(folder);
  const fine = files.map(async ({ file, sha256 }) => {
    const touch = await touchOf(join(folder, file));
    return touch !== null && sealed(seal[file], touch, sha256);
  });
  return (await Promise.all(fine)).every(Boolean);
}

/** Changes whenever one of the files is written to or replaced. */
export async function fingerprint(folder: string, files: readonly Artefact[]): Promise<string> {
  return JSON.stringify(await Promise.all(files.map(({ file }) => touchOf(join(folder, file)))));
}

function sealed(entry: Seal[string] | undefined, touch: Touch, sha256: string): boolean {
  return (
    entry?.sha256 === sha256 && (Object.keys(touch) as (keyof Touch)[]).every((name) => entry[name] === touch[name])
  );
}

async function readSeal(folder: string): Promise<Seal> {
  const text = await readFile(join(folder, imageFiles.seal), 'utf8').catch(() => '{}');
  try {
    return Seal.parse(JSON.parse(text));
  } catch (error) {
    // A seal that cannot be read vouches for nothing.
    if (error instanceof SyntaxError || error instanceof z.ZodError) return {};
    throw error;
  }
}

async function writeSeal(folder: string, seal: Seal): Promise<void> {
  await replaceFile(join(folder, imageFiles.seal), JSON.stringify(seal), { durable: false });
}

function corrupt(folder: string, what: string): AppError {
  return new AppError('image_corrupt', `The golden image in ${folder} is not what its manifest says: ${what}.`, {
    hint: 'Build it again: `npx airlock image build --force`, or go back: `npx airlock image rollback`.',
  });
}
