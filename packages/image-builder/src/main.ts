/** The image builder's command line: `main.js <build|verify|list|show>`. Progress goes to stderr, results to stdout. */
import { parseArgs } from 'node:util';
import { AppError } from '@airlock/contract/errors';
import { readSettings } from '@airlock/contract/settings';
import { buildImage } from './build.js';
import { currentId, imagesDirOf, listIds, readCurrent, readManifest, verifyImage } from './image.js';
import { formatBytes } from './progress.js';

const help = `Usage: airlock image <command> [--json]

  build [--force]   Build the golden image, unless the current one is made from the same inputs.
  verify [ID]       Compare the files of an image (default: the current one) with its manifest.
  list              List the images of this AIRLOCK_HOME; * marks the current one.
  show [ID]         Show the manifest of an image (default: the current one).

  --force           Build even when nothing has changed (for newer Debian packages, say).
  --json            Print JSON; the last line of stdout is the manifest (of list: an array of manifests).
  --help            Show this text.

AIRLOCK_HOME says where images are kept; \`airlock config\` lists all settings.
`;

interface Command {
  imagesDir: string;
  id: string | undefined;
  force: boolean;
  json: boolean;
  signal: AbortSignal;
}

const say = (line: string): boolean => process.stderr.write(`${line}\n`);
const print = (line: string): boolean => process.stdout.write(`${line}\n`);

const commands: Readonly<Record<string, (command: Command) => Promise<void>>> = {
  build: async ({ imagesDir, force, json, signal }) => {
    const manifest = await buildImage({ imagesDir, force, signal, write: say });
    say(`Image ${manifest.id} is current.`);
    if (json) print(JSON.stringify(manifest));
  },
  verify: async ({ imagesDir, id, json }) => {
    const manifest = id === undefined ? await readCurrent(imagesDir) : await readManifest(imagesDir, id);
    await verifyImage(imagesDir, manifest);
    say(
      `Image ${manifest.id} is what its manifest says; it passed ${manifest.checks.length} checks when it was built.`,
    );
    if (json) print(JSON.stringify(manifest));
  },
  list: async ({ imagesDir, json }) => {
    const current = await currentId(imagesDir);
    const manifests = await Promise.all((await listIds(imagesDir)).map((id) => readManifest(imagesDir, id)));
    if (json) return void print(JSON.stringify(manifests));
    for (const { id, createdAt, rootfsUsedBytes } of manifests) {
      print(
        `${id === current ? '*' : ' '} ${id}  ${createdAt.slice(0, 16).replace('T', ' ')}  ${formatBytes(rootfsUsedBytes)}`,
      );
    }
    if (manifests.length === 0) say('There is no image yet: run `npx airlock image build`.');
  },
  show: async ({ imagesDir, id, json }) => {
    const manifest = id === undefined ? await readCurrent(imagesDir) : await readManifest(imagesDir, id);
    print(json ? JSON.stringify(manifest) : JSON.stringify(manifest, null, 2));
  },
};

function parse(args: string[]): { name: string; id: string | undefined; force: boolean; json: boolean; help: boolean } {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { force: { type: 'boolean' }, json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
    });
    if (positionals.length > 2) throw new Error(`Unexpected argument '${positionals[2]}'`);
    const { force = false, json = false, help = false } = values;
    return { name: positionals[0] ?? '', id: positionals[1], force, json, help };
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new AppError('invalid_request', message, { hint: 'See `airlock image --help`.', cause });
  }
}

/** Runs one command. Ends a build cleanly on the first SIGINT or SIGTERM. */
async function main(): Promise<void> {
  const args = parse(process.argv.slice(2));
  if (args.help) return void process.stdout.write(help);
  const command = commands[args.name];
  if (!command) {
    throw new AppError('invalid_request', args.name ? `There is no command "${args.name}".` : 'A command is missing.', {
      hint: 'See `airlock image --help`.',
    });
  }
  const imagesDir = imagesDirOf(readSettings().AIRLOCK_HOME);
  const abort = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => abort.abort());
  await command({ imagesDir, id: args.id, force: args.force, json: args.json, signal: abort.signal });
}

await main().catch((error: unknown) => {
  const { code, message, hint, details } = AppError.from(error);
  say(`${code}: ${message}`);
  if (typeof details?.lastOutput === 'string') say(details.lastOutput);
  if (hint) say(hint);
  process.exitCode = code === 'invalid_request' ? 2 : 1;
});
