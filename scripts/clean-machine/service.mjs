/**
 * Starts deploy/airlock.service under a real systemd, in a throwaway Debian with this checkout and its image: sign-in
 * by a link, doctor, a VM with its desktop, a restart that the VM outlives. Needs root; takes some minutes.
 */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { buildIfStale, root as checkout } from '../checkout.mjs';
import { must, readArgs, Stop, timed } from '../run.mjs';
import { boot, until } from './booted.mjs';
import { debootstrap } from './root.mjs';

const help = `Usage: npm run test:service

  --help  show this text
`;

const url = 'http://127.0.0.1:4000';

/** `air`, from the document that tells operators of it. */
const air = () => /^air\(\) \(\n[^]*?\n\)$/m.exec(readFileSync(join(checkout, 'docs/operations.md'), 'utf8'))[0];

async function makeTree(tree) {
  const { debian } = JSON.parse(readFileSync(join(checkout, 'scripts/packages.json'), 'utf8'));
  const packages = ['nodejs', 'npm', 'systemd-sysv', 'dbus', 'curl', 'iproute2', ...debian.run.map(({ name }) => name)];
  await debootstrap(tree, 'trixie', packages);
  const inside = (line) => must(['chroot', tree, 'sh', '-c', line]);
  await inside(
    'groupadd --force --system kvm && useradd --system --create-home --home-dir /home/airlock --groups kvm airlock',
  );
  await must(['cp', '-a', checkout, join(tree, 'opt/airlock')]);
  rmSync(join(tree, 'opt/airlock/.git'), { recursive: true, force: true });
  const { homePaths } = await import('@airlock/contract/home');
  const { readSettings } = await import('@airlock/contract/settings');
  const image = realpathSync(homePaths(readSettings().AIRLOCK_HOME).images.current);
  const images = homePaths(join(tree, 'var/lib/airlock')).images;
  mkdirSync(images.folder, { recursive: true });
  await must(['cp', '-a', '--sparse=always', image, images.folder]);
  symlinkSync(basename(image), images.current);
  cpSync(join(checkout, 'deploy/airlock.service'), join(tree, 'etc/systemd/system/airlock.service'));
  await inside(
    'chown -R airlock: /opt/airlock /var/lib/airlock && systemctl enable airlock && systemctl mask getty.target',
  );
}

/** What the machine says to a command line; it has to end well. */
async function say(machine, line) {
  const { code, stdout, stderr } = await machine.run(`${air()}\n${line}`);
  if (code !== 0) throw new Stop(`\`${line}\` ended with ${code}.`, `${stdout}${stderr}`, 1);
  return stdout.trim();
}

const airlock = (machine, words) => say(machine, `air npx --no-install airlock ${words}`);

async function signIn(machine) {
  const token = /#token=([\w-]+)/.exec(await airlock(machine, 'login-url'))[1];
  const body = `'{"token":"${token}"}'`;
  await say(
    machine,
    `curl -fsS -o /dev/null -H 'content-type: application/json' -H 'origin: ${url}' -d ${body} ${url}/api/login`,
  );
}

async function show(machine) {
  const isWell = () => say(machine, `curl -fsS -o /dev/null ${url}/healthz && echo well`);
  const running = async () => /^(\S+) +browser +running/m.exec(await airlock(machine, 'vm list'))?.[1];
  await timed('The service is started, and well', () => until(isWell, 180));
  await timed('A login link signs in', () => signIn(machine));
  await timed('doctor', async () => console.log(await airlock(machine, 'doctor')));
  let session, vm;
  await timed('A VM with its desktop', async () => {
    [session] = (await airlock(machine, 'auth start codex')).split(' ');
    vm = await until(running, 300);
  });
  await timed('A restart, which the VM outlives', async () => {
    await say(machine, 'systemctl restart airlock');
    await until(isWell, 180);
    if ((await running()) !== vm) throw new Stop(`${vm} does not run any more.`, '', 1);
  });
  await timed('The end of the sign-in', () => airlock(machine, `auth cancel ${session}`));
  const restarts = await say(machine, 'systemctl show airlock.service --property=NRestarts --value');
  if (restarts !== '0') throw new Stop(`The service ended by itself ${restarts} times.`, '', 1);
}

async function main() {
  if (!readArgs(process.argv.slice(2), { help })) return;
  if (process.getuid() !== 0) throw new Stop('This needs root, to make a machine of its own.');
  await buildIfStale();
  const folder = mkdtempSync('/var/tmp/airlock-service-');
  const tree = join(folder, 'root');
  mkdirSync(tree);
  let machine;
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => void machine?.end());
  try {
    // As operators do, outside of the service: in it none can be built.
    await must([process.execPath, join(checkout, 'packages/image-builder/dist/main.js'), 'build']);
    await timed('A Debian with Airlock', () => makeTree(tree));
    machine = await boot(tree);
    await show(machine).catch(async (error) => {
      console.log((await machine.run('journalctl --no-pager --output=cat --unit=airlock')).stdout);
      throw error;
    });
    console.log('\nThe service works as it is narrowed.');
  } finally {
    await machine?.end();
    rmSync(folder, { recursive: true });
  }
}

await Stop.guard(main);
