/**
 * Makes the file tree of a throwaway Debian with Node and npm and nothing else. Its apt and npm reach the network just as this
 * host's do; what they need for that is looked up now and kept nowhere.
 */
import { chmodSync, cpSync, mkdirSync, readdirSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { root as checkout } from '../checkout.mjs';
import { capture, must, Stop } from '../run.mjs';

const caFolder = '/usr/local/share/ca-certificates';
const npmKeys = ['registry', 'proxy', 'https-proxy', 'noproxy', 'cafile', 'strict-ssl'];
/** The names of both users; whether `sudo` lets the second one do anything is the case's choice. */
export const users = { root: 'root', sudo: 'ann', plain: 'ann' };
export const homeOf = (user) => (user === 'root' ? '/root' : `/home/${users[user]}`);

/**
 * @param {string} path of a folder that is there and empty
 * @param {{suite: 'bookworm' | 'trixie', user: 'root' | 'sudo' | 'plain'}} machine
 */
export async function makeRoot(path, { suite, user }) {
  await debootstrap(path, suite, [
    'ca-certificates',
    ...(suite === 'trixie' ? ['nodejs', 'npm'] : []),
    ...(user === 'sudo' ? ['sudo'] : []),
  ]);
  cpSync(caFolder, join(path, caFolder), { recursive: true });
  const inside = (...argv) => must(['chroot', path, ...argv]);
  await inside('update-ca-certificates');
  // Debian 12 has no Node 20; people put it into /usr/local.
  if (suite === 'bookworm') copyNode(path);
  if (user !== 'root') await inside('useradd', '--create-home', '--shell', '/bin/bash', users[user]);
  if (user === 'sudo') writeFileSync(join(path, 'etc/sudoers.d/ann'), 'ann ALL=(ALL) NOPASSWD: ALL\n', { mode: 0o440 });
  cpSync('/etc/resolv.conf', join(path, 'etc/resolv.conf'));
  const home = homeOf(user);
  writeFileSync(join(path, home, '.npmrc'), await npmSettings());
  await copyCheckout(join(path, home, 'airlock'));
  await inside('chown', '-R', `${users[user]}:`, home);
}

/** A Debian with these packages in the folder `path`, which is empty; its apt reaches the network as this host's does. */
export async function debootstrap(path, suite, packages) {
  const { networkOptions, readAptSources, sourcesFor } = await import(
    join(checkout, 'packages/image-builder/dist/apt-sources.js')
  );
  const options = join(dirname(path), 'apt.conf');
  writeFileSync(options, networkOptions((await capture(['apt-config', 'dump'])).stdout).join('\n'));
  const hook = `--setup-hook=copy-in ${options} /etc/apt/apt.conf.d`;
  const argv = [
    'mmdebstrap',
    '--mode=root',
    '--variant=minbase',
    `--include=${packages.join(',')}`,
    '--dpkgopt=force-unsafe-io',
    hook,
    suite,
    path,
    '-',
  ];
  await must(argv, { input: `${sourcesFor(suite, await readAptSources()).join('\n')}\n` });
  chmodSync(path, 0o755);
  // For speed here; a real machine has no such setting.
  rmSync(join(path, 'etc/dpkg/dpkg.cfg.d/99mmdebstrap'));
}

function copyNode(path) {
  const npm = dirname(dirname(realpathSync(join(dirname(process.execPath), 'npm'))));
  const local = join(path, 'usr/local');
  cpSync(process.execPath, join(local, 'bin/node'));
  cpSync(npm, join(local, 'lib/node_modules/npm'), { recursive: true });
  for (const name of ['npm', 'npx'])
    symlinkSync(`../lib/node_modules/npm/bin/${name}-cli.js`, join(local, 'bin', name));
}

async function npmSettings() {
  const { stdout } = await capture(['npm', 'config', 'list', '--json'], { cwd: '/' });
  const all = JSON.parse(stdout);
  const isSet = (key) => ![undefined, null, ''].includes(all[key]) && typeof all[key] !== 'object';
  return npmKeys
    .filter(isSet)
    .map((key) => `${key}=${all[key]}\n`)
    .join('');
}

/** What a clone would hold, with changes that are not committed yet; nothing that is installed or built. */
async function copyCheckout(target) {
  mkdirSync(target);
  const list =
    'git ls-files -z --cached --others --exclude-standard | xargs -0 ls -d 2>/dev/null | tar -cT - | tar -xC "$0"';
  await must(['sh', '-c', list, target], { cwd: checkout });
  if (readdirSync(target).includes('node_modules')) throw new Stop('node_modules is part of the checkout.');
}
