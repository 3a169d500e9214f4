/**
 * The Debian that the test host boots: made by mmdebstrap from the mirror that this host uses, once for each change of what it
 * is made from, and kept in the tests' cache. Never written to: each run has its own layer over it.
 */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { nullIfAbsent } from '@airlock/contract/file';
import { run } from '@airlock/contract/process';
import { networkOptions, readAptSources, sourcesFor } from '@airlock/image-builder/apt-sources';
import { makeRootfs } from '@airlock/image-builder/rootfs';
import { makeWorkspace, mode, removeFolder, searchPath, workRoot } from '@airlock/image-builder/workspace';
import { labels } from './disk.js';
import { files, hostPackages, masked } from './guest.js';
import { ownFolder } from './leftovers.js';

const suite = 'trixie';
/** Of folders in the cache that are not finished, and of those that Debian is made in. */
export const draftPrefix = 'making-';
export const debianPrefix = 'airlock-debian-';
const fileSystem = {
  epoch: 1_767_225_600,
  rootfs: {
    ...{ sizeMib: 24_576, label: labels.host, features: '^orphan_file' },
    ...{ uuid: '6b766d2d-686f-4374-8000-000000000001', hashSeed: '6b766d2d-686f-4374-8000-000000000002' },
  },
};

export interface Debian {
  disk: string;
  kernel: string;
  initrd: string;
}

/** All packages that Airlock runs with and its tests need. */
async function listPackages(checkout: string): Promise<string[]> {
  const list = JSON.parse(await readFile(join(checkout, 'scripts/packages.json'), 'utf8')) as {
    debian: Record<string, { name: string }[]>;
  };
  const { run: toRun = [], test = [] } = list.debian;
  return [...new Set([...hostPackages, ...[...toRun, ...test].map(({ name }) => name)])].sort();
}

/** In `cache`, made when it is not there. `note` is told of what takes minutes. */
export async function findDebian(
  { cache, checkout, note }: { cache: string; checkout: string; note: (line: string) => void },
  signal: AbortSignal,
): Promise<Debian> {
  const packages = await listPackages(checkout);
  const plan = debootstrapArguments({ workspace: { stage: '', root: '' }, aptOptions: '', packages, out: '' });
  const inputs = JSON.stringify([plan, fileSystem, files]);
  const key = createHash('sha256').update(inputs).digest('hex').slice(0, 16);
  const folder = join(cache, `kvm-host-${key}`);
  if ((await readdir(folder).catch(nullIfAbsent)) === null) {
    note(`Making a Debian ${suite} with a KVM of its own (${packages.length} packages), once: some minutes …`);
    const draft = await ownFolder(cache, draftPrefix);
    try {
      await make(draft, packages, signal);
      for (const old of (await readdir(cache)).filter((name) => name.startsWith('kvm-host-')))
        await rm(join(cache, old), { recursive: true });
      await rename(draft, folder);
    } finally {
      await rm(draft, { recursive: true, force: true });
    }
  }
  return { disk: join(folder, 'host.ext4'), kernel: join(folder, 'vmlinuz'), initrd: join(folder, 'initrd.img') };
}

async function make(folder: string, packages: readonly string[], signal: AbortSignal): Promise<void> {
  const workspace = await makeWorkspace(join(workRoot, `${debianPrefix}${process.pid}`));
  try {
    for (const [path, text] of Object.entries(files)) {
      const staged = join(workspace.stage, path);
      await mkdir(dirname(staged), { recursive: true });
      await writeFile(staged, text);
    }
    const aptOptions = join(workspace.path, 'apt.conf');
    const { stdout } = await run('apt-config', ['dump'], { signal });
    await writeFile(aptOptions, networkOptions(stdout).join('\n'), { mode: 0o600 });
    await run('mmdebstrap', debootstrapArguments({ workspace, aptOptions, packages, out: folder }), {
      input: `${sourcesFor(suite, readAptSources()).join('\n')}\n`,
      env: { PATH: searchPath, TMPDIR: workspace.path },
      signal,
    });
    await makeRootfs(workspace.root, join(folder, 'host.ext4'), fileSystem, signal);
  } finally {
    await removeFolder(workspace.path);
  }
}

interface Plan {
  workspace: { stage: string; root: string };
  aptOptions: string;
  packages: readonly string[];
  /** Takes kernel and initrd. */
  out: string;
}

function debootstrapArguments({ workspace, aptOptions, packages, out }: Plan): string[] {
  const hostOptions = '/etc/apt/apt.conf.d/00airlock-host';
  const inside = 'chroot "$1"';
  const hooks = [
    `tar --create --directory=${workspace.stage} --owner=0 --group=0 . | tar --extract --directory="$1" --no-overwrite-dir`,
    `${inside} systemctl enable run-command.service`,
    `${inside} systemctl mask ${masked.join(' ')}`,
    `${inside} sh -c 'cp /boot/vmlinuz-* /tmp/vmlinuz; cp /boot/initrd.img-* /tmp/initrd.img'`,
    ...['vmlinuz', 'initrd.img'].map((name) => `download /tmp/${name} ${join(out, name)}`),
    `rm "$1${hostOptions}"`,
  ];
  return [
    ...[`--mode=${mode}`, '--variant=minbase', '--format=directory', `--include=${packages.join(',')}`],
    ...['--aptopt=Acquire::Languages "none"', '--dpkgopt=force-unsafe-io'],
    ...['man', 'info', 'doc', 'locale'].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`),
    ...[`upload ${aptOptions} ${hostOptions}`, `chmod 0600 "$1${hostOptions}"`].map((hook) => `--setup-hook=${hook}`),
    ...hooks.map((hook) => `--customize-hook=${hook}`),
    ...[suite, workspace.root, '-'],
  ];
}
