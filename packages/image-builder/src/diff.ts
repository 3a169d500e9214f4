/** What differs between two images: versions, packages, artefacts, and on demand every file. */
import { lstat, mkdir, mkdtemp, readFile, readdir, readlink, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { imagesPaths } from '@airlock/contract/home';
import { imageFiles, type ImageManifest } from '@airlock/contract/image';
import { hashFile } from '@airlock/contract/image-seal';
import { run } from '@airlock/contract/process';
import { Sbom } from './sbom.js';
import { searchPath } from './workspace.js';

export interface Change {
  name: string;
  /** Null: only in the other image. */
  from: string | null;
  to: string | null;
}

export interface ImageDiff {
  from: string;
  to: string;
  /** Names of artefacts whose bytes differ. */
  artefacts: string[];
  versions: Change[];
  /** Debian and npm packages. Empty when one of the images has no bill of materials. */
  packages: Change[];
  /** Null unless asked for. */
  files: Change[] | null;
}

export interface DiffOptions {
  /** Also compare every file of the root file systems: takes minutes, and room for both in /var/tmp. */
  files: boolean;
  signal: AbortSignal;
}

export async function diffImages(
  imagesFolder: string,
  from: ImageManifest,
  to: ImageManifest,
  options: DiffOptions,
): Promise<ImageDiff> {
  const names = ['kernel', 'initrd', 'rootfs'] as const;
  const packages = await Promise.all([from, to].map((manifest) => readPackages(imagesFolder, manifest)));
  const known = packages.every((list) => list !== null);
  return {
    from: from.id,
    to: to.id,
    artefacts: names.filter((name) => from.artefacts[name].sha256 !== to.artefacts[name].sha256),
    versions: changes({ debian: from.debian.version, ...from.versions }, { debian: to.debian.version, ...to.versions }),
    packages: known ? changes(packages[0] ?? {}, packages[1] ?? {}) : [],
    files: options.files ? await diffFiles(imagesFolder, from, to, options.signal) : null,
  };
}

/** Entries that differ, by name. Pure. */
export function changes(from: Readonly<Record<string, string>>, to: Readonly<Record<string, string>>): Change[] {
  const names = [...new Set([...Object.keys(from), ...Object.keys(to)])].sort();
  return names
    .map((name) => ({ name, from: from[name] ?? null, to: to[name] ?? null }))
    .filter((change) => change.from !== change.to);
}

async function readPackages(imagesFolder: string, manifest: ImageManifest): Promise<Record<string, string> | null> {
  if (!manifest.sbom) return null;
  const text = await readFile(join(imagesPaths(imagesFolder).image(manifest.id), manifest.sbom.file), 'utf8');
  const { packages } = Sbom.parse(JSON.parse(text));
  return Object.fromEntries(packages.map((entry) => [entry.SPDXID.slice('SPDXRef-'.length), entry.versionInfo]));
}

async function diffFiles(
  imagesFolder: string,
  from: ImageManifest,
  to: ImageManifest,
  signal: AbortSignal,
): Promise<Change[]> {
  const work = await mkdtemp('/var/tmp/airlock-diff-');
  try {
    const trees: Record<string, string>[] = [];
    for (const { id } of [from, to]) {
      const tree = join(work, id);
      await unpack(join(imagesPaths(imagesFolder).image(id), imageFiles.rootfs), tree, signal);
      trees.push(await describeTree(tree));
      await rm(tree, { recursive: true });
    }
    return changes(trees[0] ?? {}, trees[1] ?? {});
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Copies what is inside of a file system into a folder; needs no mount. Owners are kept only when root does it. */
async function unpack(rootfs: string, target: string, signal: AbortSignal): Promise<void> {
  await mkdir(target, { mode: 0o700 });
  await run('debugfs', ['-R', `rdump / "${target}"`, rootfs], { env: { PATH: searchPath }, signal });
}

/** Path → everything that counts of a file, as one word. */
async function describeTree(root: string): Promise<Record<string, string>> {
  const entries: [string, string][] = [];
  for (const path of await readdir(root, { recursive: true })) {
    entries.push([`/${path}`, await describeFile(join(root, path))]);
  }
  return Object.fromEntries(entries);
}

async function describeFile(path: string): Promise<string> {
  const info = await lstat(path);
  const mode = (info.mode & 0o7777).toString(8).padStart(4, '0');
  const common = `${mode} ${info.uid}:${info.gid}`;
  if (info.isSymbolicLink()) return `link ${info.uid}:${info.gid} → ${await readlink(path)}`;
  if (info.isDirectory()) return `folder ${common}`;
  if (!info.isFile()) return `special ${common}`;
  const modified = new Date(Math.floor(info.mtimeMs / 1000) * 1000).toISOString();
  return `file ${common} ${info.size} bytes, ${modified}, ${(await hashFile(path)).slice(0, 16)}`;
}

/** Lines for a person; empty when nothing differs. Pure. */
export function describeDiff({ artefacts, versions, packages, files }: ImageDiff): string[] {
  const line = ({ name, from, to }: Change): string => `  ${name}: ${from ?? '(absent)'} → ${to ?? '(absent)'}`;
  const part = (title: string, list: readonly Change[]): string[] =>
    list.length > 0 ? [`${title}:`, ...list.map(line)] : [];
  return [
    ...part('Versions', versions),
    ...part(`Packages (${packages.length})`, packages),
    ...part(`Files (${files?.length ?? 0})`, files ?? []),
    ...(artefacts.length > 0 ? [`Other bytes: ${artefacts.join(', ')}`] : []),
  ];
}
