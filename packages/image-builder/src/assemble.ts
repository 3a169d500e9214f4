/** Makes the files of an image in a folder, from inputs to manifest. What it makes is not current yet. */
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@airlock/contract/errors';
import { guestProtocol } from '@airlock/contract/guest';
import { ImageManifest, imageFiles, type Artefact } from '@airlock/contract/image';
import { makeRoot, marks } from './bootstrap.js';
import { readCheckResults } from './check/check.js';
import { buildFolder } from './check/shell.js';
import { fetchPinned } from './chrome.js';
import { installedPackage } from './cli.js';
import { installClis } from './clis.js';
import { keepDebs, openDebCache, type DebCache } from './deb-cache.js';
import { describeArtefact, writeManifest } from './image.js';
import type { Inputs } from './inputs.js';
import { readKernelConfig } from './kernel-config.js';
import { unpackKernel } from './kernel.js';
import { findLeftovers } from './leftovers.js';
import { formatBytes, type Progress } from './progress.js';
import { makeRootfs } from './rootfs.js';
import { makeSbom, parseDebs, parseNpmPackages } from './sbom.js';
import { fillStage, makePipe, packStage } from './stage.js';
import { removeFolder, type Workspace } from './workspace.js';

export interface AssembleOptions {
  inputs: Inputs;
  /** Takes the files. */
  folder: string;
  workspace: Workspace;
  debCache: DebCache;
  signal: AbortSignal;
  progress: Progress;
}

/** Steps that `assemble` tells of. */
export const assembleSteps = 6;

/**
 * Also removes the workspace, once the files are made.
 * @throws AppError image_build_failed, image_check_failed, command_failed or aborted.
 */
export async function assemble(options: AssembleOptions): Promise<ImageManifest> {
  const { inputs, folder, workspace, debCache, signal, progress } = options;
  const { description } = inputs;
  const startedAt = performance.now();
  const kept = await openDebCache(debCache);
  const names = inputs.clis.map((cli) => cli.command).join(', ');
  progress.step(
    `Install Debian ${description.suite} (${description.packages.length} packages and what they need, ${kept} of them cached) and ${names}`,
  );
  const checks = await makeFilledRoot(options);
  await keepDebs(debCache);

  progress.step('Unpack the kernel');
  await unpackKernel(join(workspace.path, 'vmlinuz'), join(folder, imageFiles.kernel), signal);
  // The two folders may lie on different disks.
  await writeFile(join(folder, imageFiles.initrd), await readFile(join(workspace.path, 'initrd.img')));
  progress.step('Write the file system');
  const rootfs = join(folder, imageFiles.rootfs);
  const rootfsUsedBytes = await makeRootfs(workspace.root, rootfs, description, signal);
  progress.done(`${formatBytes(rootfsUsedBytes)} in use`);

  progress.step('Write bill of materials and manifest');
  await writeSbom(options);
  const facts = await readFacts(workspace.path);
  // Removing the root, which is done with now, and reading gigabytes do not get in each other's way.
  const [artefacts] = await Promise.all([
    describeFiles(folder),
    requireNoLeftovers(rootfs, signal),
    removeFolder(workspace.path),
  ]);
  const manifest = describeImage(inputs, facts, { artefacts, checks, rootfsUsedBytes, startedAt });
  await writeManifest(folder, manifest);
  return manifest;
}

/** Debian and the CLIs are installed at the same time; the CLIs go into the root through a pipe. Answers the checks passed. */
async function makeFilledRoot({ inputs, workspace, debCache, signal, progress }: AssembleOptions): Promise<string[]> {
  const stop = new AbortController();
  const both = AbortSignal.any([signal, stop.signal]);
  const stageTar = join(workspace.path, 'stage.pipe');
  await makePipe(stageTar, both);
  const stage = async (): Promise<void> => {
    await installClis(workspace.stage, inputs, both, progress.note);
    await fillStage(workspace.stage, inputs);
    if (inputs.browser)
      await fetchPinned(inputs.browser, join(workspace.stage, buildFolder, 'google-chrome.deb'), both);
    const { epoch } = inputs.description;
    await packStage({ stage: workspace.stage, pipe: stageTar, epoch, reader: root, signal: both });
  };
  const plan = { description: inputs.description, workspace, stageTar, debCache, chrome: inputs.browser !== null };
  const root = makeRoot(plan, both, (line) => {
    if (line === marks.finish) progress.step('Add CLIs, guest files and units; make the initrd');
    else if (line === marks.checks) progress.step(`Check the root from inside (${inputs.checks.length} checks)`);
    else progress.note(line);
  });
  const output = await together([root, stage()], stop);
  return readCheckResults(inputs.checks, output);
}

/** The first one's result when all succeed; the first failure otherwise, once the others were stopped and have ended. */
async function together<T>(work: [Promise<T>, ...Promise<unknown>[]], stop: AbortController): Promise<T> {
  try {
    const [first] = await Promise.all(work);
    return first as T;
  } catch (error) {
    stop.abort();
    await Promise.allSettled(work);
    throw error;
  }
}

/** @throws AppError image_check_failed naming what the finished file system should not hold */
async function requireNoLeftovers(rootfs: string, signal: AbortSignal): Promise<void> {
  const found = await findLeftovers(rootfs, signal);
  if (found.length === 0) return;
  throw new AppError('image_check_failed', `The new file system holds what it should not: ${found.join('; ')}.`, {
    hint: 'The current image is unchanged. What must not be there is listed in packages/image-builder/src/leftovers.ts.',
  });
}

async function writeSbom({ inputs, folder, workspace }: AssembleOptions): Promise<void> {
  const read = (name: string): Promise<string> => readFile(join(workspace.path, name), 'utf8');
  const { description } = inputs;
  const sbom = makeSbom({
    name: `airlock-image-${inputs.sha256.slice(0, 16)}`,
    epoch: description.epoch,
    suite: description.suite,
    debs: parseDebs(await read('packages'), await read('licences')),
    npm: parseNpmPackages(await read('npm-packages')),
    clis: inputs.clis,
  });
  await writeFile(join(folder, imageFiles.sbom), sbom);
}

interface Facts {
  /** @throws AppError image_build_failed for a fact that finish.sh has not found out */
  fact(name: string): string;
  kernelConfig: Record<string, string>;
}

/** What finish.sh found out about the root. */
async function readFacts(folder: string): Promise<Facts> {
  const lines = (await readFile(join(folder, 'facts'), 'utf8')).split('\n');
  return {
    fact(name) {
      const value = lines.find((line) => line.startsWith(`${name}=`))?.slice(name.length + 1);
      if (value) return value;
      throw new AppError('image_build_failed', `finish.sh left no "${name}" among its facts.`);
    },
    kernelConfig: readKernelConfig(await readFile(join(folder, 'kernel-config'), 'utf8')),
  };
}

type Artefacts = Record<'kernel' | 'initrd' | 'rootfs' | 'sbom', Artefact>;

async function describeFiles(folder: string): Promise<Artefacts> {
  const artefact = (file: string): Promise<Artefact> => describeArtefact(folder, file);
  const [kernel, initrd, rootfs, sbom] = await Promise.all([
    artefact(imageFiles.kernel),
    artefact(imageFiles.initrd),
    artefact(imageFiles.rootfs),
    artefact(imageFiles.sbom),
  ]);
  return { kernel, initrd, rootfs, sbom };
}

function describeImage(
  inputs: Inputs,
  { fact, kernelConfig }: Facts,
  found: { artefacts: Artefacts; checks: string[]; rootfsUsedBytes: number; startedAt: number },
): ImageManifest {
  const { description } = inputs;
  const { sbom, ...artefacts } = found.artefacts;
  const createdAt = new Date().toISOString();
  return ImageManifest.parse({
    version: 2,
    id: `img_${createdAt.slice(0, 16).replace(/[^0-9]/g, '')}${randomBytes(4).toString('hex')}`,
    createdAt,
    inputsSha256: inputs.sha256,
    debian: { suite: description.suite, version: fact('debian') },
    versions: {
      kernel: fact('kernel'),
      node: fact('node'),
      chromium: inputs.browser?.version ?? fact('chromium'),
      ...Object.fromEntries(inputs.clis.map(({ id, version }) => [id, version])),
      agent: inputs.agentVersion,
    },
    guestProtocol,
    drivers: inputs.drivers,
    clis: inputs.clis.map((cli) => ({
      id: cli.id,
      package: installedPackage(cli),
      version: cli.version,
      integrity: cli.integrity,
    })),
    browser: inputs.browser?.name ?? 'chromium',
    kernelConfig,
    artefacts,
    sbom,
    gate: null,
    checks: found.checks,
    rootfsUsedBytes: found.rootfsUsedBytes,
    buildSeconds: Number(((performance.now() - found.startedAt) / 1000).toFixed(1)),
  });
}
