/**
 * `npm run soak`: the tests that get better with time, many times over. Each takes what `npm test` runs once or a few times and
 * gives it its count by TEST_ variables; it fails as a test fails.
 */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildIfStale, checkNode, installNpmPackages, root } from './checkout.mjs';
import { installHostPackages } from './host-packages.mjs';
import { must, readArgs, Stop } from './run.mjs';

/** By name: the vitest project and its files, and what they are told. */
export const soaks = {
  driver: {
    about: '200 VMs under each driver and network, while chance kills VMM, runner, helper and controller',
    project: 'vm',
    files: ['kills', 'destroy'].map((subject) => `tests/vm/driver/${subject}.test.ts`),
    env: ({ cycles, seed, driver, network }) => ({
      ...{ TEST_CYCLES: String(cycles ?? 200), TEST_SEED: String(seed) },
      ...(driver !== undefined && { TEST_DRIVER: driver }),
      ...(network !== undefined && { TEST_NETWORK: network }),
    }),
  },
  crash: {
    about: 'a sign-in whose agents, runner and VMM are killed, each at each of its states, and those of its CLI VM',
    project: 'vm',
    files: ['tests/vm/crash.test.ts'],
    env: () => ({ TEST_CRASH: 'all' }),
  },
  image: {
    about:
      'an image with another browser, built and started; a disk that gets full at the end of a build; the gate with all its kills',
    project: 'vm',
    files: ['image-chrome', 'image-disk-full', 'gate'].map((subject) => `tests/vm/${subject}.test.ts`),
    env: () => ({ TEST_IMAGE: 'all' }),
  },
  update: {
    about: 'a CLI VM that gets another root, and homes on disks of their own, with each thing that may go wrong',
    project: 'vm',
    files: ['update', 'home-disk'].map((subject) => `tests/vm/${subject}.test.ts`),
    env: () => ({ TEST_UPDATE: 'all' }),
  },
  keyboard: {
    about: '50 sizes of a desktop in a row, beside all that hands do in it',
    project: 'vm',
    files: ['tests/vm/keyboard.test.ts'],
    env: ({ cycles }) => ({ TEST_CYCLES: String(cycles ?? 50) }),
  },
  'sign-in': {
    about:
      'all three CLIs signed in, two of them after a refusal, Claude Code by a code from another device too; all then found again by another controller',
    project: 'e2e',
    files: ['tests/e2e/sign-in.test.ts'],
    env: () => ({ TEST_E2E: 'all' }),
  },
  custody: {
    about: '200 refreshes of a login while controller, agent and VM are killed',
    project: 'integration',
    files: ['tests/integration/custody.test.ts'],
    env: ({ cycles, seed }) => ({ TEST_CYCLES: String(cycles ?? 200), TEST_SEED: String(seed) }),
  },
};

const names = Object.keys(soaks);
const help = `Usage: npm run soak -- [--only ${names.join(',')}] [--cycles N] [--seed N] [--driver NAME] [--network user|netns]

${names.map((name) => `  ${name.padEnd(8)} ${soaks[name].about}`).join('\n')}

  --only     run these only
  --cycles   another number of rounds
  --seed     another order of chances; printed with the result
  --driver   of VMs: this one only, as the soak driver finds it on this host
  --network  of VMs: this one only; netns takes root
  --help     show this text

Needs what \`npm test\` needs, and builds the golden image if none is current.
`;

/** @returns {{wanted: string[], cycles: number | null, seed: number, driver?: string, network?: string} | undefined} undefined: help was asked for */
export function parse(args) {
  const text = { type: 'string' };
  const asked = readArgs(args, {
    help,
    options: { only: text, cycles: text, seed: text, driver: text, network: text },
  });
  if (!asked) return undefined;
  const { only, cycles, seed, driver, network } = asked.values;
  const wanted = only?.split(',') ?? names;
  const unknown = wanted.filter((name) => !names.includes(name));
  if (unknown.length > 0) throw new Stop(`There is no soak "${unknown.join(', ')}": choose of ${names.join(', ')}.`);
  for (const [name, value] of Object.entries({ cycles, seed })) {
    if (value !== undefined && !/^[1-9]\d{0,5}$/.test(value))
      throw new Stop(`--${name} is "${value}"; a number was expected.`);
  }
  if (network !== undefined && !['user', 'netns'].includes(network))
    throw new Stop(`There is no network "${network}": choose of user, netns.`);
  return {
    wanted,
    cycles: cycles === undefined ? null : Number(cycles),
    seed: seed === undefined ? Math.ceil(Math.random() * 99_999) : Number(seed),
    ...(driver !== undefined && { driver }),
    ...(network !== undefined && { network }),
  };
}

async function main() {
  const asked = parse(process.argv.slice(2));
  if (!asked) return;
  checkNode();
  await installHostPackages(['run', 'test']);
  await installNpmPackages();
  await buildIfStale();
  await must([process.execPath, join(root, 'packages/image-builder/dist/main.js'), 'build'], { cwd: root });
  for (const name of asked.wanted) {
    const { project, files, env } = soaks[name];
    console.log(`── soak ${name} (seed ${asked.seed})`);
    const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
    const argv = [process.execPath, vitest, 'run', '--project', project, '--reporter=verbose', ...files];
    await must(argv, { cwd: root, env: { ...process.env, ...env(asked) } });
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await Stop.guard(main);
