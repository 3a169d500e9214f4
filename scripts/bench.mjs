/**
 * `npm run bench`: how fast Airlock is, against what is underneath it, in the same run. Installs and builds what is needed,
 * then runs tests/bench. Progress goes to stderr, one JSON document to stdout.
 */
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { buildIfStale, checkNode, installNpmPackages, root } from './checkout.mjs';
import { installHostPackages } from './host-packages.mjs';
import { must, readArgs, Stop } from './run.mjs';

/** In the order in which they are run: first what is quick. */
const parts = ['tunnel', 'egress', 'boot', 'image'];
/** These need the Debian packages that run VMs and build images. */
const withHost = ['boot', 'image', 'forms', 'vmm'];
/** Measured only when asked for: the one needs an image to compare with, the other KVM and root. */
const forms = 'forms';
const vmm = 'vmm';

const help = `Usage: npm run --silent bench -- [--only tunnel,egress,boot,image,forms,vmm] [--runs N] [--against FOLDER]

  tunnel   WebSocket desktop tunnel against direct TCP: throughput (goal ≥ 0.8), one-byte echo
  egress   egress gateway against its upstream proxy asked directly: throughput, time to connect
  boot     power-on to VNC banner, and to browser and terminal windows, against bare QEMU (goal ≤ 1.15)
  image    image build --force against a bare mmdebstrap of the same packages

  forms    power-on to VNC banner and to a drawn browser window, against another golden image (goal ≤ 0.75); not by default
  vmm      Firecracker's jailer by hand against the driver (goal ≤ 1.15), VNC banner under QEMU with KVM and under Firecracker; as root,
           where there is KVM; not by default

  --only     Measure these parts only; all but forms and vmm by default.
  --against  Folder of the image that forms compares the current one with.
  --runs     Rounds of each measurement: by default 5 transfers, 2 boots, 1 image build, 3 pairs of forms. Each round measures
             both sides.
  --help     Show this text.

Prints one JSON document: for each figure both sides' samples and medians, their ratio, the goal and whether it was met.
A missed goal is no failure; exit code 1 means that something could not be measured (see "errors").
`;

/** @returns {{wanted: string[], runs: number | null, against: string | null, prepare: boolean} | undefined} undefined: help was asked for */
export function parse(args) {
  const text = { type: 'string' };
  const options = { only: text, runs: text, against: text, prepare: { type: 'boolean' } };
  const asked = readArgs(args, { help, options });
  if (!asked) return undefined;
  const { values } = asked;
  const only = values.only?.split(',') ?? parts;
  const all = [...parts, forms, vmm];
  const unknown = only.filter((part) => !all.includes(part));
  if (unknown.length > 0) throw new Stop(`There is no part "${unknown.join(', ')}": choose of ${all.join(', ')}.`);
  if (only.includes(forms) && values.against === undefined) {
    throw new Stop(
      'forms needs an image to compare with: --against FOLDER.',
      'docs/golden-image.md tells how to make one.',
    );
  }
  if (values.runs !== undefined && !/^[1-9]\d{0,2}$/.test(values.runs)) {
    throw new Stop(`--runs is "${values.runs}"; a number from 1 to 999 was expected.`);
  }
  return {
    wanted: all.filter((part) => only.includes(part)),
    runs: values.runs === undefined ? null : Number(values.runs),
    against: values.against === undefined ? null : resolve(values.against),
    prepare: values.prepare ?? false,
  };
}

async function prepare(wanted) {
  checkNode();
  if (wanted.some((part) => withHost.includes(part)))
    await installHostPackages(wanted.includes(vmm) ? ['run', 'test'] : ['run']);
  await installNpmPackages();
  await buildIfStale();
  await must([process.execPath, join(root, 'node_modules/typescript/bin/tsc'), '-b', 'tests'], { cwd: root });
  if (!wanted.some((part) => ['boot', forms, vmm].includes(part))) return;
  await must([process.execPath, join(root, 'packages/image-builder/dist/main.js'), 'build'], { cwd: root });
}

async function main() {
  const args = process.argv.slice(2);
  const asked = parse(args);
  if (!asked) return undefined;
  const { wanted, runs, against } = asked;
  if (asked.prepare) return prepare(wanted);
  // In a process of its own, so that whatever the preparation prints stays out of the document.
  await must([process.execPath, fileURLToPath(import.meta.url), ...args, '--prepare'], { stdio: ['ignore', 2, 2] });
  const { runBench } = await import(pathToFileURL(join(root, 'tests/dist/bench/bench.js')).href);
  process.exitCode = await runBench(wanted, { runs, against });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await Stop.guard(main);
