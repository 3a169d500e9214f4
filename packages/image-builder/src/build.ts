/** Builds a golden image and makes it current. A build that fails or is killed changes nothing that is current. */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AppError } from '@airlock/contract/errors';
import { ImageManifest, imageFiles } from '@airlock/contract/image';
import { makeRoot, marks } from './bootstrap.js';
import { checkScript, checksFor, readCheckResults, type Check } from './checks.js';
import { description } from './description.js';
import { checkSpace, checkTools } from './host.js';
import { currentId, describeArtefact, looksComplete, publish, readManifest } from './image.js';
import { hashInputs, readAgent, readTree, type InputEntry } from './inputs.js';
import { unpackKernel } from './kernel.js';
import { takeBuildLock } from './lock.js';
import { createProgress, formatBytes, type Progress } from './progress.js';
import { makeRootfs } from './rootfs.js';
import { installClis, packStage } from './stage.js';
import { makeWorkspace, removeFolder, workspacePath, type Workspace } from './workspace.js';

const fromPackage = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));

export interface BuildOptions {
  imagesDir: string;
  /** Build even when the current image is made from the same inputs. */
  force: boolean;
  signal: AbortSignal;
  /** Takes the lines of progress. */
  write: (line: string) => void;
}

interface Inputs {
  sha256: string;
  guest: InputEntry[];
  scripts: InputEntry[];
  agent: InputEntry;
  agentVersion: string;
  checks: Check[];
}

async function readInputs(): Promise<Inputs> {
  const [guest, chroot, agent, agentPackage] = await Promise.all([
    readTree(fromPackage('guest')),
    readTree(fromPackage('chroot')),
    readAgent(fromPackage('../guest-agent/dist/agent.cjs')),
    readFile(fromPackage('../guest-agent/package.json'), 'utf8'),
  ]);
  const checks = checksFor(description);
  const check: InputEntry = { path: 'check.sh', type: 'program', content: Buffer.from(checkScript(checks)) };
  const scripts = [...chroot, check];
  const { version } = JSON.parse(agentPackage) as { version: string };
  return {
    sha256: hashInputs(description, [...guest, ...scripts, agent]),
    guest,
    scripts,
    agent,
    agentVersion: version,
    checks,
  };
}

/**
 * The current image, built first when it is not made from today's inputs.
 * @throws AppError host_unsupported, disk_full, image_build_failed, image_check_failed, command_failed or aborted.
 */
export async function buildImage(options: BuildOptions): Promise<ImageManifest> {
  const inputs = await readInputs();
  const current = options.force ? null : await findCurrent(options.imagesDir, inputs.sha256);
  if (current) return current;
  await checkTools();
  const name = randomBytes(4).toString('hex');
  const folder = join(options.imagesDir, `.build-${name}`);
  const workspaceFolder = workspacePath(name);
  const release = await takeBuildLock(options.imagesDir, [folder, workspaceFolder], removeFolder);
  const progress = createProgress(8, options.write);
  try {
    await checkSpace('/var/tmp', options.imagesDir);
    await mkdir(folder, { mode: 0o700 });
    return await build(options, inputs, folder, await makeWorkspace(workspaceFolder), progress);
  } finally {
    progress.stop();
    await removeFolder(workspaceFolder);
    await removeFolder(folder);
    await release();
  }
}

async function findCurrent(imagesDir: string, inputsSha256: string): Promise<ImageManifest | null> {
  const id = await currentId(imagesDir);
  if (id === null) return null;
  const manifest = await readManifest(imagesDir, id).catch((error: unknown) => {
    if (error instanceof AppError) return null;
    throw error;
  });
  const isIt = manifest?.inputsSha256 === inputsSha256 && (await looksComplete(imagesDir, manifest));
  return isIt ? manifest : null;
}

async function build(
  { imagesDir, signal }: BuildOptions,
  inputs: Inputs,
  folder: string,
  workspace: Workspace,
  progress: Progress,
): Promise<ImageManifest> {
  const startedAt = performance.now();
  const stageTar = join(workspace.path, 'stage.tar');
  progress.step(`Install ${description.clis.map((cli) => cli.command).join(', ')} with npm`);
  await installClis(workspace.stage, description, signal, progress.note);
  progress.step('Pack CLIs, guest files and agent');
  await packStage(workspace.stage, inputs, stageTar, signal);

  progress.step(`Install Debian ${description.suite} (${description.packages.length} packages and what they need)`);
  const output = await makeRoot(description, workspace, stageTar, signal, (line) => {
    if (line === marks.finish) progress.step('Add CLIs, guest files and units; make the initrd');
    else if (line === marks.checks) progress.step(`Check the root from inside (${inputs.checks.length} checks)`);
    else progress.note(line);
  });
  const checks = readCheckResults(inputs.checks, output);
  await rm(stageTar);

  progress.step('Unpack the kernel');
  await unpackKernel(join(workspace.path, 'vmlinuz'), join(folder, imageFiles.kernel), signal);
  await copyOut(join(workspace.path, 'initrd.img'), join(folder, imageFiles.initrd));
  progress.step('Write the file system');
  const rootfsUsedBytes = await makeRootfs(workspace.root, join(folder, imageFiles.rootfs), description.rootfs, signal);
  progress.done(`${formatBytes(rootfsUsedBytes)} in use`);

  progress.step('Write the manifest and make the image current');
  const manifest = await describeImage(inputs, folder, await readFacts(workspace.path), {
    checks,
    rootfsUsedBytes,
    buildSeconds: Number(((performance.now() - startedAt) / 1000).toFixed(1)),
  });
  await writeFile(join(folder, imageFiles.manifest), `${JSON.stringify(manifest, null, 2)}\n`);
  signal.throwIfAborted();
  await publish(imagesDir, folder, manifest.id);
  progress.done(manifest.id);
  return manifest;
}

async function copyOut(from: string, to: string): Promise<void> {
  // The two folders may lie on different disks.
  await writeFile(to, await readFile(from));
  await rm(from);
}

/** `name=value` lines that finish.sh has left: versions of what was installed. */
async function readFacts(folder: string): Promise<(name: string) => string> {
  const lines = (await readFile(join(folder, 'facts'), 'utf8')).split('\n');
  return (name) => {
    const value = lines.find((line) => line.startsWith(`${name}=`))?.slice(name.length + 1);
    if (value) return value;
    throw new AppError('image_build_failed', `finish.sh left no "${name}" among its facts.`);
  };
}

async function describeImage(
  inputs: Inputs,
  folder: string,
  fact: (name: string) => string,
  rest: Pick<ImageManifest, 'checks' | 'rootfsUsedBytes' | 'buildSeconds'>,
): Promise<ImageManifest> {
  const createdAt = new Date().toISOString();
  const [codex, claude, gemini] = description.clis.map((cli) => cli.version) as [string, string, string];
  return ImageManifest.parse({
    version: 1,
    id: `img_${createdAt.slice(0, 16).replace(/[^0-9]/g, '')}${randomBytes(4).toString('hex')}`,
    createdAt,
    inputsSha256: inputs.sha256,
    debian: { suite: description.suite, version: fact('debian') },
    versions: {
      kernel: fact('kernel'),
      node: fact('node'),
      chromium: fact('chromium'),
      codex,
      claude,
      gemini,
      agent: inputs.agentVersion,
    },
    artefacts: {
      kernel: await describeArtefact(folder, imageFiles.kernel),
      initrd: await describeArtefact(folder, imageFiles.initrd),
      rootfs: await describeArtefact(folder, imageFiles.rootfs),
    },
    ...rest,
  });
}
