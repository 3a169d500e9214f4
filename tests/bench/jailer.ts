/** A browser VM in Firecracker as its makers mean it to be started: by their jailer, by hand, in a network namespace made before. */
import { spawn, type ChildProcess } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { driveSize } from '@airlock/contract/config-drive';
import { withDeadline } from '@airlock/contract/deadline';
import { AppError } from '@airlock/contract/errors';
import { tapNetwork } from '@airlock/contract/privileged';
import { run, tail } from '@airlock/contract/process';
import { kernelCommandLine } from '@airlock/runner/vmm/firecracker/setup';
import { kernelArguments } from '@airlock/runner/vmm/kernel-arguments';
import { firecrackerBinaries } from '../support/firecracker-binaries.js';

/** Nobody else's: the bench runs alone. */
const uid = 70_500;

export interface JailerVm {
  cpus: number;
  memoryMib: number;
  kernel: string;
  initrd: string;
  root: string;
}

/** Milliseconds from the start of the jailer until the guest has written `text`. Needs root. @throws AppError vmm_failed */
export async function startByHand(vm: JailerVm, text: string, timeoutMs: number, signal: AbortSignal): Promise<number> {
  // Where no other user may write: the jailer trusts its folders.
  const base = await mkdtemp('/run/airlock-b');
  const namespace = `airlock-b-${process.pid}`;
  try {
    const { firecracker, jailer } = await firecrackerBinaries();
    const id = 'bench';
    const root = join(base, 'firecracker', id, 'root');
    await makeRoot(root, vm);
    await run('ip', ['netns', 'add', namespace]);
    const owner = ['user', String(uid), 'group', String(uid)];
    await run('ip', ['-n', namespace, 'tuntap', 'add', tapNetwork.tap, 'mode', 'tap', ...owner]);
    await run('ip', ['-n', namespace, 'link', 'set', tapNetwork.tap, 'up']);
    const args = ['--id', id, '--exec-file', firecracker, '--uid', String(uid), '--gid', String(uid)];
    const places = ['--chroot-base-dir', base, '--netns', `/run/netns/${namespace}`];
    const began = performance.now();
    // Its log would come in the middle of the guest's words.
    const own = ['--config-file', '/vm.json', '--no-api', '--log-path', '/log'];
    const child = spawn(jailer, [...args, ...places, '--', ...own], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
    try {
      await hears(child, text, withDeadline(signal, timeoutMs));
      return performance.now() - began;
    } finally {
      child.kill('SIGKILL');
      await ended;
    }
  } finally {
    await run('ip', ['netns', 'delete', namespace], { okCodes: [0, 1] });
    await rm(base, { recursive: true });
  }
}

/** What the VM may open, as files of its user's. */
async function makeRoot(root: string, { cpus, memoryMib, kernel, initrd, root: disk }: JailerVm): Promise<void> {
  await mkdir(root, { recursive: true });
  const files = { '/kernel': kernel, '/initrd': initrd, '/root.ext4': disk };
  for (const [place, path] of Object.entries(files)) await copyFile(path, join(root, place));
  await writeFile(join(root, 'config'), Buffer.alloc(driveSize));
  await writeFile(join(root, 'log'), '');
  const drive = (id: string, place: string): object => ({
    ...{ drive_id: id, path_on_host: place, is_read_only: true, is_root_device: false },
  });
  const boot_args = kernelCommandLine({ kernelArguments: kernelArguments('browser') });
  const config = {
    'boot-source': { kernel_image_path: '/kernel', initrd_path: '/initrd', boot_args },
    drives: [drive('root', '/root.ext4'), drive('config', '/config')],
    'machine-config': { vcpu_count: cpus, mem_size_mib: memoryMib },
    'network-interfaces': [{ iface_id: 'eth0', host_dev_name: tapNetwork.tap, guest_mac: tapNetwork.mac }],
    entropy: {},
  };
  await writeFile(join(root, 'vm.json'), JSON.stringify(config));
  await run('chown', ['-R', `${uid}:${uid}`, root]);
}

function hears(child: ChildProcess, text: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = '';
    const fail = (): void =>
      reject(new AppError('vmm_failed', `By hand, the guest did not write "${text}": ${tail(said, 5)}`));
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        said += chunk.toString('latin1');
        if (said.includes(text)) resolve();
      });
    }
    child.once('error', reject);
    child.once('close', fail);
    signal.addEventListener('abort', fail, { once: true });
  });
}
