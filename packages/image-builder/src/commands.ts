/** What the image builder can be told to do; one entry a command. */
import type { ParseArgsConfig } from 'node:util';
import { AppError } from '@airlock/contract/errors';
import type { ImageManifest } from '@airlock/contract/image';
import { providerIds } from '@airlock/contract/provider/provider';
import { providers } from '@airlock/contract/provider/registry';
import type { Settings } from '@airlock/contract/settings';
import { buildImage, type CliChoice, type RunGate } from './build.js';
import { googleChrome } from './chrome.js';
import { runDriverGate } from './gate/driver-gate.js';
import { describeDiff, diffImages } from './diff.js';
import { readHistory } from './history.js';
import { currentId, findImage, listImages } from './image.js';
import { parseCliOptions } from './pins.js';
import { formatBytes } from './progress.js';
import { promote, rollback } from './promote.js';
import { prune } from './prune.js';
import { verifyImage } from './verify.js';

export const help = `Usage: airlock image <command> [--json]

  build             Build the golden image, unless the current one is made from the same inputs, and make it current.
    --force           Build even when nothing has changed (for newer Debian packages, say).
    --refresh         Take the newest Debian packages and CLIs, and tell what changed. Later builds keep these versions.
    --cli NAME@X.Y.Z  Another version of a CLI (${providerIds.join(', ')}). Later builds keep it.
    --defaults        Take the versions of this project again.
    --browser google-chrome   Google Chrome instead of Chromium; fetched from Google.
    --no-gate         Do not start the image in a VM. It is kept, but not made current.
  verify [ID]       Compare an image with its manifest, start it in a VM, kill its parts and see them come back.
    --no-gate         Only compare the files.
  list              List the images; * marks the current one.
  show [ID]         Show the manifest of an image.
  diff A [B]        Tell what differs between two images: versions, packages, bytes.
    --files           Also compare every file; takes minutes.
  promote ID        Make an image current, after comparing it with its manifest.
  rollback          Make the image current again that was so before.
  prune             Remove images that are neither current nor used by a VM.
    --keep N          Keep the N newest others too (default: 1).

  --json            Print JSON; it is the last line of stdout.
  --help            Show this text.

Where no ID is given, the current image is meant. AIRLOCK_HOME says where images are kept; \`airlock config\` lists all
settings.
`;

export const optionTypes = {
  force: { type: 'boolean' },
  refresh: { type: 'boolean' },
  cli: { type: 'string', multiple: true },
  defaults: { type: 'boolean' },
  browser: { type: 'string' },
  'no-gate': { type: 'boolean' },
  files: { type: 'boolean' },
  keep: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const satisfies ParseArgsConfig['options'];

export interface Command {
  home: string;
  imagesFolder: string;
  gate: RunGate;
  accel: Settings['AIRLOCK_ACCEL'];
  helperSocket: string;
  /** Arguments that are not options. */
  names: string[];
  options: {
    force?: boolean;
    refresh?: boolean;
    cli?: string[];
    defaults?: boolean;
    browser?: string;
    'no-gate'?: boolean;
    files?: boolean;
    keep?: string;
    json?: boolean;
    help?: boolean;
  };
  signal: AbortSignal;
}

export const say = (line: string): boolean => process.stderr.write(`${line}\n`);
const print = (line: string): boolean => process.stdout.write(`${line}\n`);
const refuse = (message: string): AppError =>
  new AppError('invalid_request', message, { hint: 'See `airlock image --help`.' });

const gateOf = ({ gate, options }: Pick<Command, 'gate' | 'options'>): RunGate | null =>
  options['no-gate'] === true ? null : gate;

/** `names`: how many arguments it takes at most. */
export const commands: Readonly<Record<string, { names: number; run(command: Command): Promise<void> }>> = {
  build: { names: 0, run: build },
  verify: { names: 1, run: verify },
  list: { names: 0, run: list },
  show: { names: 1, run: show },
  diff: { names: 2, run: diff },
  promote: { names: 1, run: runPromote },
  rollback: { names: 0, run: runRollback },
  prune: { names: 0, run: runPrune },
  // By the command of the driver.
  gate: { names: 1, run: runGateOf },
};

/** What the gate itself says goes to stderr, step by step; its verdict to stdout. */
async function runGateOf({ home, accel, helperSocket, names, options, signal }: Command): Promise<void> {
  const [driver] = names;
  if (driver === undefined) throw refuse('Which driver is to be tried is missing.');
  const gate = await runDriverGate({ home, driver, accel, helperSocket, signal, note: say });
  const { passed, imageId, reason } = gate;
  const verdict = `${driver} ${passed ? 'has booted' : 'has not booted'} ${imageId} to its desktop: ${reason}`;
  print(options.json === true ? JSON.stringify(gate) : verdict);
  if (!passed) process.exitCode = 1;
}

function cliChoice({ refresh = false, cli = [], defaults = false }: Command['options']): CliChoice {
  if (Number(refresh) + Number(cli.length > 0) + Number(defaults) > 1) {
    throw refuse('Only one of --refresh, --cli and --defaults can be given.');
  }
  if (refresh) return { from: 'refresh' };
  if (defaults) return { from: 'defaults' };
  return cli.length > 0 ? { from: 'asked', versions: parseCliOptions(cli) } : { from: 'pins' };
}

async function build({ imagesFolder, gate, options, signal }: Command): Promise<void> {
  const clis = cliChoice(options);
  if (options.browser !== undefined && !['chromium', googleChrome.name].includes(options.browser)) {
    throw refuse(`--browser ${options.browser}: there are chromium and ${googleChrome.name}.`);
  }
  const before = await findImage(imagesFolder).catch(() => null);
  const result = await buildImage({
    imagesFolder,
    force: options.force ?? false,
    clis,
    browser: options.browser === googleChrome.name ? googleChrome : null,
    gate: gateOf({ gate, options }),
    signal,
    write: say,
  });
  const { manifest, built, current } = result;
  say(current ? `Image ${manifest.id} is current.` : `Image ${manifest.id} is built, not promoted.`);
  const changed = built && before ? await diffImages(imagesFolder, before, manifest, { files: false, signal }) : null;
  if (changed && options.refresh) {
    const lines = describeDiff(changed);
    say(lines.length > 0 ? lines.join('\n') : 'Nothing has changed since the image before.');
  }
  if (options.json) print(JSON.stringify(options.refresh ? { ...manifest, changed } : manifest));
}

async function verify({ imagesFolder, gate, names, options, signal }: Command): Promise<void> {
  const found = await findImage(imagesFolder, names[0]);
  const manifest = await verifyImage({ imagesFolder, gate: gateOf({ gate, options }), signal, write: say }, found);
  say(`Image ${manifest.id} is fine.`);
  for (const [name, value] of Object.entries(manifest.gate?.figures ?? {})) say(`  ${name}: ${value}`);
  if (options.json) print(JSON.stringify(manifest));
}

function describeImage(manifest: ImageManifest, current: boolean): string {
  const { id, createdAt, rootfsUsedBytes, versions, gate } = manifest;
  const clis = Object.values(providers)
    .flatMap(({ id: name, program }) => (versions[name] === undefined ? [] : [`${program} ${versions[name]}`]))
    .join(', ');
  const state = gate === null ? 'not started yet' : gate.passed ? 'verified' : 'FAILED its boot gate';
  const date = createdAt.slice(0, 16).replace('T', ' ');
  return `${current ? '*' : ' '} ${id}  ${date}  ${formatBytes(rootfsUsedBytes)}  ${clis}  ${state}`;
}

async function list({ imagesFolder, options }: Command): Promise<void> {
  const current = await currentId(imagesFolder);
  const manifests = await listImages(imagesFolder);
  if (options.json) {
    print(JSON.stringify(manifests.map((manifest) => ({ ...manifest, current: manifest.id === current }))));
    return;
  }
  for (const manifest of manifests) print(describeImage(manifest, manifest.id === current));
  if (manifests.length === 0) say('There is no image yet: run `npx airlock image build`.');
}

async function show({ imagesFolder, names, options }: Command): Promise<void> {
  const manifest = await findImage(imagesFolder, names[0]);
  const history = (await readHistory(imagesFolder)).filter((entry) => entry.id === manifest.id);
  print(JSON.stringify({ ...manifest, history }, null, options.json ? 0 : 2));
}

async function diff({ imagesFolder, names, options, signal }: Command): Promise<void> {
  if (names[0] === undefined) throw refuse('Which images? `airlock image list` shows which there are.');
  const [from, to] = await Promise.all([findImage(imagesFolder, names[0]), findImage(imagesFolder, names[1])]);
  const found = await diffImages(imagesFolder, from, to, { files: options.files ?? false, signal });
  if (options.json) return void print(JSON.stringify(found));
  const lines = describeDiff(found);
  print(lines.length > 0 ? lines.join('\n') : `${from.id} and ${to.id} do not differ.`);
}

async function runPromote({ imagesFolder, gate, names, options, signal }: Command): Promise<void> {
  if (names[0] === undefined) throw refuse('Which image? `airlock image list` shows which there are.');
  finishChoice(await promote({ imagesFolder, gate, signal, write: say }, names[0]), options);
}

async function runRollback({ imagesFolder, gate, options, signal }: Command): Promise<void> {
  finishChoice(await rollback({ imagesFolder, gate, signal, write: say }), options);
}

function finishChoice(manifest: ImageManifest, options: Command['options']): void {
  say(`Image ${manifest.id} is current. VMs that exist keep the image they were made from.`);
  if (options.json) print(JSON.stringify(manifest));
}

async function runPrune({ imagesFolder, home, options }: Command): Promise<void> {
  const keep = options.keep ?? '1';
  if (!/^\d{1,3}$/.test(keep)) throw refuse(`--keep ${keep}: a number is expected.`);
  const pruned = await prune(imagesFolder, home, Number(keep));
  for (const { id, why } of pruned.kept) say(`kept     ${id} (${why})`);
  for (const id of pruned.removed) say(`removed  ${id}`);
  say(`${pruned.removed.length} removed, ${formatBytes(pruned.bytes)} freed.`);
  if (options.json) print(JSON.stringify(pruned));
}
