/**
 * Shows that `npm run up` alone is enough on a machine that has Debian, Node, npm and nothing else: makes such a machine, runs
 * it there from a copy of this checkout to the ready line, and removes everything again. Needs root; takes some minutes.
 */
import { mkdirSync, mkdtempSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { buildIfStale } from '../checkout.mjs';
import { must, readArgs, Stop } from '../run.mjs';
import { startMachine } from './machine.mjs';
import { homeOf, makeRoot, users } from './root.mjs';

const help = `Usage: npm run test:clean -- [--suite bookworm|trixie] [--user root|sudo|plain] [options]

  --suite       the Debian of the machine; trixie by default
  --user        root, sudo (a user who may sudo; the default), or plain: a user without sudo, for whom an administrator runs exactly
                the commands that \`up\` prints
  --selftest    run \`airlock selftest\` there as well
  --tests       run \`npm test -- --only …\` there as well: lint,unit,integration,vm,e2e
  --image       take the images of this folder, which --save-image of an earlier run made, instead of building one
  --save-image  keep the images in this folder
  --help        show this text
`;

const results = [];

/** One thing shown, with its time; a failure is reported and ends the case. */
async function step(name, work) {
  console.log(`\n── ${name}`);
  const started = Date.now();
  const figure = await work();
  const seconds = `${((Date.now() - started) / 1000).toFixed(1)} s`;
  results.push(`ok  ${seconds.padStart(8)}  ${name}${figure ? `: ${figure}` : ''}`);
}

function expect(condition, message) {
  if (!condition) throw new Stop(message, '', 1);
}

const show = (line) => console.log(`   | ${line.replace(/(#token=|token=|login\/)[\w-]+/, '$1…')}`);

/** `npm run up` in the foreground of a terminal of its own. */
async function up(machine, user, args = '') {
  const run = machine.start(
    user,
    `cd airlock && exec setsid --wait sh -c 'echo $$ >/tmp/up.pid; exec npm run up -- ${args}'`,
    (line) => {
      show(line);
      const url = /^Airlock is ready: (\S+)/.exec(line)?.[1];
      if (url) ready(url);
    },
  );
  let ready;
  const url = await Promise.race([new Promise((resolve) => (ready = resolve)), run.ended.then(({ code }) => code)]);
  return { url: typeof url === 'string' ? url : null, ...run };
}

/** Ctrl-C: the signal goes to the whole group in the foreground. */
async function interrupt(machine, run) {
  const { code } = await machine.start('root', 'kill -INT -- -$(cat /tmp/up.pid)', show).ended;
  expect(code === 0, 'up is not running any more.');
  return `exit code ${(await run.ended).code}`;
}

async function answers(url) {
  const health = await fetch(new URL('/healthz', url));
  const page = await fetch(url);
  expect(health.status === 200 && page.status === 200, `healthz answers ${health.status}, the link ${page.status}.`);
}

/** For a user who may not install: the commands are printed, and these very commands are enough. */
async function asPrinted(machine, user) {
  const run = await up(machine, user);
  const { code, output } = await run.ended;
  expect(code === 2, `up ended with ${code}, not with 2.`);
  const commands = output.split('then start again:\n')[1]?.split('\nnpm ')[0] ?? '';
  expect(/apt-get/.test(commands), 'No commands were printed.');
  expect((await machine.start('root', commands, show).ended).code === 0, 'The printed commands fail.');
}

async function runCase(machine, { user: kind, selftest, tests }) {
  const user = users[kind];
  let run;
  const started = async (args) => {
    run = await up(machine, user, args);
    expect(run.url, 'up ended without a ready line.');
    await answers(run.url);
  };
  const airlock = async (words) => machine.start(user, `cd airlock && npx --no-install airlock ${words}`, show).ended;
  if (kind === 'plain')
    await step('up prints what to install and stops; that is installed', () => asPrinted(machine, user));
  await step('npm run up, from nothing to the ready line', () => started());
  await step('airlock doctor', async () =>
    expect((await airlock('doctor')).code === 0, 'doctor says that something blocks.'),
  );
  if (selftest) {
    await step('airlock selftest', async () => {
      const { output } = await airlock('selftest --minutes 1');
      expect(/pass\s+.*browser visible/i.test(output), 'No VM came up.');
      return output.split('\n').at(-1);
    });
  }
  await step('Ctrl-C', () => interrupt(machine, run));
  await step('npm run up again', () => started('--stop-vms'));
  await step('Ctrl-C with --stop-vms leaves no process', async () => {
    await interrupt(machine, run);
    expect(machine.processes().length === 0, `Still there:\n${machine.processes().join('\n')}`);
  });
  if (tests) {
    await step(`npm test -- --only ${tests}`, async () => {
      const { code, output } = await machine.start(user, `cd airlock && npm test --silent -- --only ${tests}`, show)
        .ended;
      expect(code === 0, `npm test ended with ${code}.`);
      return output.split('\n').at(-1);
    });
  }
}

async function main() {
  const text = { type: 'string' };
  const options = {
    suite: text,
    user: text,
    tests: text,
    image: text,
    'save-image': text,
    selftest: { type: 'boolean' },
  };
  const asked = readArgs(process.argv.slice(2), { help, options });
  if (!asked) return;
  const { values } = asked;
  const { suite = 'trixie', user = 'sudo' } = values;
  if (process.getuid() !== 0) throw new Stop('This needs root, to make a machine of its own.');
  if (!['bookworm', 'trixie'].includes(suite) || !(user in users))
    throw new Stop(`There is no suite ${suite} or no user ${user}.`, `\n${help}`);
  await buildIfStale();
  const folder = mkdtempSync('/var/tmp/airlock-clean-');
  const root = join(folder, 'root');
  // Only now: it is there once the checkout is built.
  const { homePaths } = await import('@airlock/contract/home');
  const inMachine = homePaths(`${homeOf(user)}/.airlock`).images.folder;
  const images = join(root, inMachine);
  let machine;
  // Ctrl-C here: the machine's end lets the step under way fail, and then everything is removed as always.
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => void machine?.end());
  try {
    mkdirSync(root);
    await step(`A clean ${suite}, user: ${user}`, () => makeRoot(root, { suite, user }));
    const { NODE_EXTRA_CA_CERTS: ca } = process.env;
    machine = await startMachine(root, { AIRLOCK_PORT: '0', ...(ca && { NODE_EXTRA_CA_CERTS: ca }) });
    if (values.image) {
      mkdirSync(dirname(images));
      await must(['cp', '-a', '--sparse=always', values.image, images]);
      await machine.start('root', `chown -R ${users[user]}: ${dirname(inMachine)}`).ended;
    }
    await runCase(machine, { user, ...values });
    if (values['save-image']) await must(['cp', '-a', images, values['save-image']]);
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    results.push(`FAILED       ${error.message}`);
    process.exitCode = error.exitCode;
  } finally {
    await machine?.end();
    console.log(`\n${results.join('\n')}\n\nRemoving ${folder} …`);
    await must(['rm', '-rf', '--one-file-system', folder]);
  }
}

await Stop.guard(main);
