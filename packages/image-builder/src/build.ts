/** Builds a golden image and makes it current. A build that fails or is killed changes nothing that is current. */
import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { AppError } from '@airlock/contract/errors';
import { imagesPaths } from '@airlock/contract/home';
import type { GateReport, ImageManifest } from '@airlock/contract/image';
import { checkSizes, filesOf, sealFiles } from '@airlock/contract/image-seal';
import { assemble, assembleSteps } from './assemble.js';
import type { PinnedBrowser } from './chrome.js';
import { resolveClis, type CliSet } from './clis.js';
import { debCacheOf } from './deb-cache.js';
import { readHistory } from './history.js';
import { checkSpace, checkTools, explainFailure } from './host.js';
import { currentId, listImages, makeCurrent, publish, readIfWhole, writeManifest } from './image.js';
import { plainInputs, projectClis, readInputs, type Inputs } from './inputs.js';
import { takeBuildLock } from './lock.js';
import { applyPins, pinsOf, readPins, writePins, type Pins } from './pins.js';
import { createProgress, type Progress } from './progress.js';
import { makeWorkspace, removeFolder, workRoot, workspacePath } from './workspace.js';

/** Boots the image in a folder and says how it went. */
export type RunGate = (
  imageFolder: string,
  options: { signal: AbortSignal; note: (line: string) => void; full: boolean },
) => Promise<GateReport>;

/** Which versions of the CLIs: those of the project or of `pins.json`, others by id, the newest, or the project's again. */
export type CliChoice =
  { from: 'pins' } | { from: 'asked'; versions: Record<string, string> } | { from: 'refresh' | 'defaults' };

export interface BuildOptions {
  imagesFolder: string;
  /** Build even when the current image is made from the same inputs. */
  force: boolean;
  clis: CliChoice;
  browser: PinnedBrowser | null;
  /** Null: the image is not started, and not made current. */
  gate: RunGate | null;
  signal: AbortSignal;
  /** Takes the lines of progress. */
  write: (line: string) => void;
}

export interface BuildResult {
  manifest: ImageManifest;
  /** False: the image that was current already is still the right one. */
  built: boolean;
  current: boolean;
}

/**
 * The current image, built first when it is not made from today's inputs.
 * @throws AppError host_unsupported, disk_full, image_build_failed, image_check_failed, command_failed or aborted.
 */
export async function buildImage(options: BuildOptions): Promise<BuildResult> {
  const { imagesFolder, force, clis, signal, write } = options;
  // An unreadable file of pins is no reason to refuse taking it away.
  const pins = clis.from === 'defaults' ? null : await readPins(imagesFolder);
  const inputs = await chooseInputs(options, pins);
  const kept =
    force || clis.from === 'refresh' ? null : await findUsable(imagesFolder, inputs.sha256, clis.from, write);
  if (kept) {
    if (clis.from === 'defaults') await writePins(imagesFolder, null);
    return { manifest: kept, built: false, current: true };
  }
  await checkTools(options.gate !== null);
  const name = randomBytes(4).toString('hex');
  const folder = imagesPaths(imagesFolder).build(name);
  const workspace = workspacePath(name);
  const release = await takeBuildLock(imagesFolder, [folder, workspace], removeFolder).catch(async (error: unknown) => {
    throw await explainFailure(error, [imagesFolder]);
  });
  const progress = createProgress(assembleSteps + (options.gate ? 2 : 1), write);
  try {
    await checkSpace(workRoot, imagesFolder);
    await mkdir(folder, { mode: 0o700 });
    const manifest = await make(options, inputs, { folder, workspace, progress });
    signal.throwIfAborted();
    return await finish(options, inputs, manifest, { folder, progress });
  } catch (error) {
    throw await explainFailure(error, [workRoot, imagesFolder]);
  } finally {
    progress.stop();
    await removeFolder(workspace);
    await removeFolder(folder);
    await release();
  }
}

async function chooseInputs({ clis, browser, signal }: BuildOptions, pins: Pins | null): Promise<Inputs> {
  if (clis.from === 'pins' && browser === null) return plainInputs(pins);
  const base = applyPins(await projectClis(), pins);
  return readInputs(await chooseClis(base, clis, signal), browser);
}

async function chooseClis(base: CliSet, choice: CliChoice, signal: AbortSignal): Promise<CliSet> {
  if (choice.from === 'asked') return resolveClis(base, choice.versions, signal);
  if (choice.from !== 'refresh') return base;
  return resolveClis(base, Object.fromEntries(base.clis.map(({ id }) => [id, '*'])), signal);
}

async function isWhole(imagesFolder: string, manifest: ImageManifest): Promise<boolean> {
  try {
    await checkSizes(imagesPaths(imagesFolder).image(manifest.id), filesOf(manifest));
    return true;
  } catch (error) {
    if (error instanceof AppError) return false;
    throw error;
  }
}

/**
 * The current image, when nothing has to be built: it is made from these inputs; or one that is was current, and somebody has
 * chosen this one since (`rollback`, `promote`), which an ordinary build does not undo.
 */
async function findUsable(
  imagesFolder: string,
  inputsSha256: string,
  from: CliChoice['from'],
  write: (line: string) => void,
): Promise<ImageManifest | null> {
  const id = await currentId(imagesFolder);
  const current = id === null ? null : await readIfWhole(imagesFolder, id);
  if (!current || !(await isWhole(imagesFolder, current))) return null;
  if (current.inputsSha256 === inputsSha256) return current;
  const history = await readHistory(imagesFolder);
  if (from !== 'pins' || history.at(-1)?.id !== current.id || history.at(-1)?.why === 'build') return null;
  const wereCurrent = new Set(history.map((entry) => entry.id));
  const images = (await listImages(imagesFolder)).filter((image) => wereCurrent.has(image.id));
  const newest = images.find((image) => image.inputsSha256 === inputsSha256);
  if (!newest) return null;
  write(`Image ${current.id} was chosen instead of ${newest.id}, which is made from today's inputs; it stays current.`);
  return current;
}

interface Places {
  folder: string;
  workspace: string;
  progress: Progress;
}

async function make(options: BuildOptions, inputs: Inputs, places: Places): Promise<ImageManifest> {
  const { folder, progress } = places;
  const { imagesFolder, signal } = options;
  const workspace = await makeWorkspace(places.workspace);
  const manifest = await assemble({ inputs, folder, workspace, debCache: debCacheOf(imagesFolder), signal, progress });
  if (!options.gate) return manifest;
  progress.step('Start the image in a VM and look at it');
  const gate = await options.gate(folder, { signal, note: progress.note, full: false });
  const gated = { ...manifest, gate };
  requirePassed(gated);
  await writeManifest(folder, gated);
  return gated;
}

/** @throws AppError image_check_failed when the image was not started in a VM, or did not stand that. */
export function requirePassed({ id, gate }: ImageManifest): void {
  if (gate?.passed) return;
  const failed = gate?.steps.find((step) => !step.ok);
  const why = failed ? `${failed.name}: ${failed.detail}` : 'it was never started';
  throw new AppError('image_check_failed', `Image ${id} did not pass the boot gate: ${why}`, {
    hint: 'The current image is unchanged. To look into it, keep such an image: `npx airlock image build --force --no-gate`, then `npx airlock image verify ID`.',
  });
}

async function finish(
  { imagesFolder, clis, gate }: BuildOptions,
  inputs: Inputs,
  manifest: ImageManifest,
  { folder, progress }: Pick<Places, 'folder' | 'progress'>,
): Promise<BuildResult> {
  const current = gate !== null;
  progress.step(current ? 'Make the image current' : 'Keep the image, which is not current');
  await sealFiles(folder, filesOf(manifest));
  await publish(imagesFolder, folder, manifest.id);
  if (current) {
    await makeCurrent(imagesFolder, manifest.id, 'build');
    if (clis.from !== 'pins')
      await writePins(imagesFolder, clis.from === 'defaults' ? null : pinsOf(inputs, clis.from));
  }
  progress.done(manifest.id);
  return { manifest, built: true, current };
}
