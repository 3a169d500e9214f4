/**
 * `npm run test:kvm`: what needs a host with hardware virtualisation, systemd and control groups of version 2, shown in such a host,
 * which is made in software (tests/support/kvm-host). Builds what is missing, runs one command in it and ends with its exit code.
 */
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildIfStale, checkNode, installNpmPackages, root } from './checkout.mjs';
import { installHostPackages } from './host-packages.mjs';
import { must, readArgs, Stop } from './run.mjs';

const vitest = (project, ...files) => ['vitest', 'run', '--project', project, '--reporter=verbose', ...files];
const drivers = (...subjects) => subjects.map((subject) => `tests/vm/driver/${subject}.test.ts`);

/** Of one driver's VMs. */
function signIns(driver, name) {
  const env = ['env', `TEST_DRIVER=${driver}`, 'TEST_NETWORK=netns', 'TEST_E2E=brief', 'TEST_SCREENSHOTS=/srv/results'];
  return {
    about: `a sign-in with each provider, with KVM, locked up in namespaces, under ${name}; pictures are among the results`,
    minutes: 90,
    command: [...env, ...vitest('e2e', 'tests/e2e/sign-in.test.ts')],
  };
}

/** By name: commands that are run in the host one after the other, each in a host of its own, which is ended after so many minutes. */
export const suites = {
  facts: {
    about: 'what the host has: KVM, control groups, Firecracker, and what doctor says',
    minutes: 10,
    command: vitest('kvm', 'tests/kvm/host.test.ts'),
  },
  conformance: {
    about: 'the conformance suite of every driver, with KVM',
    minutes: 45,
    command: vitest('vm', ...drivers('boot', 'end', 'destroy', 'jail', 'linux', 'firecracker')),
  },
  denial: {
    about: 'what a guest can do in its network, as raw frames, and what the privileged helper can be asked for',
    minutes: 15,
    command: vitest(
      'integration',
      'tests/integration/network-namespace.test.ts',
      'tests/integration/privileged-helper.test.ts',
    ),
  },
  units: {
    about: 'the units of deploy: controller as an ordinary user, privileged helper, a VM locked up',
    minutes: 30,
    command: vitest('kvm', 'tests/kvm/units.test.ts'),
  },
  selftest: {
    about: 'the self-test with its ten criteria',
    minutes: 25,
    command: vitest('kvm', 'tests/kvm/selftest.test.ts'),
  },
  'sign-ins': signIns('qemu', 'QEMU'),
  'sign-ins-firecracker': signIns('firecracker', 'Firecracker'),
};

const names = Object.keys(suites);
const help = `Usage: npm run test:kvm -- [--only ${names.join(',')}] [--minutes N] [--results FOLDER] [-- COMMAND …]

Boots a Debian 13 with systemd and a KVM of its own, in software, with this checkout, the golden image and Firecracker in it, and runs
there:

${names.map((name) => `  ${name.padEnd(Math.max(...names.map(({ length }) => length)))} ${suites[name].about}`).join('\n')}

  COMMAND        run this instead, in the folder of the checkout, and end with its exit code
  --only         run these only
  --minutes      end a host after that many (default: what each of these may take, 45 for a command)
  --results      keep what a command leaves in the folder that TEST_RESULTS names, and the host's console
  --help         show this text

Nothing else of what is written there is kept. The first run makes that Debian, in some minutes.
`;

/** @returns {{commands: {name: string, command: string[], minutes: number}[], results: string | undefined} | undefined} undefined: help was asked for */
export function parse(args) {
  const text = { type: 'string' };
  const asked = readArgs(args, { help, options: { only: text, minutes: text, results: text }, words: true });
  if (!asked) return undefined;
  const { values, positionals } = asked;
  if (values.only !== undefined && positionals.length > 0)
    throw new Stop('--only names what is run, and so does a command: give one of them.', `\n${help}`);
  const only = values.only?.split(',') ?? names;
  const unknown = only.filter((name) => !names.includes(name));
  if (unknown.length > 0) throw new Stop(`There is no ${unknown.join(', ')} to run: choose of ${names.join(', ')}.`);
  const { minutes } = values;
  if (minutes !== undefined && !/^[1-9]\d{0,2}$/.test(minutes))
    throw new Stop(`--minutes is "${minutes}"; a number from 1 to 999 was expected.`);
  const commands =
    positionals.length > 0
      ? [{ name: positionals[0], command: positionals, minutes: 45 }]
      : names.filter((name) => only.includes(name)).map((name) => ({ name, ...suites[name] }));
  return {
    commands: commands.map((each) => ({ ...each, minutes: Number(minutes ?? each.minutes) })),
    results: values.results && resolve(values.results),
  };
}

async function prepare() {
  checkNode();
  await installHostPackages(['run', 'test']);
  await installNpmPackages();
  await buildIfStale();
  await must([process.execPath, join(root, 'node_modules/typescript/bin/tsc'), '-b', 'tests'], { cwd: root });
  await must([process.execPath, join(root, 'packages/image-builder/dist/main.js'), 'build'], { cwd: root });
}

async function main() {
  const asked = parse(process.argv.slice(2));
  if (!asked) return;
  await prepare();
  const { runInKvmHost } = await import(pathToFileURL(join(root, 'tests/dist/support/kvm-host/kvm-host.js')).href);
  const { AppError } = await import('@airlock/contract/errors');
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stop.abort(new Stop('Interrupted.', '', 130)));
  const { commands, results } = asked;
  for (const { name, command, minutes } of commands) {
    console.log(`── ${name}, in a host with KVM`);
    const keep = results && join(results, commands.length > 1 ? name : '');
    const run = { command, minutes, results: keep, onLine: (line) => console.log(line), signal: stop.signal };
    const code = await runInKvmHost(run).catch((error) => {
      throw error instanceof Stop ? error : new Stop(AppError.inItsWords(error).message, '', 1);
    });
    console.log(`── ${name}: exit code ${code}`);
    process.exitCode ||= code;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await Stop.guard(main);
