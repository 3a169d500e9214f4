/** Judges the facts of a host: what was chosen and why, what blocks, what to do about it. Pure. */
import { wayOut } from '@airlock/contract/address';
import {
  chooseHost,
  cliDisksMib,
  driverFor,
  imageBuildMib,
  roomLeft,
  vmsThatFit,
  type Accel,
  type Amounts,
  type DriverChoice,
} from '@airlock/contract/capacity';
import { AppError } from '@airlock/contract/errors';
import type { Settings } from '@airlock/contract/settings';
import { othersMayRead } from '@airlock/contract/vault-key-file';
import { mebibytes } from '../lib/output.js';
import type { HostFacts } from './facts.js';
import { outsideOfService } from './folders.js';

export interface Finding {
  about: string;
  /** note: works, but something is worth knowing. blocks: Airlock cannot run until `todo` is done. */
  status: 'ok' | 'note' | 'blocks';
  found: string;
  /** What to do; empty when there is nothing to do. */
  todo: string;
}

export interface Choice {
  accel: Accel;
  accelReason: string;
  /** Of VMs of the current image, or of any while there is none; null: no VM can be started. */
  driver: DriverChoice | null;
  /** Why no VM can be started; null when one can. */
  problem: AppError | null;
  /** MiB that no VM has, or was promised. */
  room: Amounts;
  /** How many VMs of the configured size fit into the memory of `room`. */
  vmsThatFit: number;
  /** The same on this host without the VMs that it has now. */
  vmsWithoutOthers: number;
}

/** What the controller would choose on this host, and how many VMs fit. */
export function choose(facts: HostFacts, settings: Settings): Choice {
  const host = chosenHost(facts, settings);
  const room = roomLeft(facts.capacity);
  const size = { accel: host.accel, memoryMib: settings.AIRLOCK_VM_MEMORY_MIB };
  return { ...host, room, vmsThatFit: vmsThatFit(room, size), vmsWithoutOthers: vmsThatFit(emptyRoom(facts), size) };
}

/** What there would be for VMs if none was there: what they have taken is free then, and nothing is promised. */
function emptyRoom({ capacity: { memory, disk, vms } }: HostFacts): Amounts {
  const taken = vms.reduce((sum, vm) => sum + vm.taken.memoryMib, 0);
  return roomLeft({ memory: { ...memory, availableMib: memory.availableMib + taken }, disk, vms: [] });
}

function chosenHost(
  facts: HostFacts,
  settings: Settings,
): Pick<Choice, 'accel' | 'accelReason' | 'driver' | 'problem'> {
  const { probe, gates, network: found, image } = facts;
  const { AIRLOCK_ACCEL: wanted, AIRLOCK_VMM: vmm } = settings;
  const fallback = { accel: wanted === 'kvm' ? 'kvm' : 'tcg', driver: null } as const;
  if ('error' in probe) return { ...fallback, accelReason: 'The probe could not run.', problem: null };
  const network = 'problem' in found ? { network: 'user' as const, networkReason: found.problem } : found;
  try {
    const host = chooseHost(probe, { accel: wanted, vmm, network, gates });
    const { accel, accelReason, drivers } = host;
    const later = { id: 'a later one', drivers: drivers.map(({ name }) => name) };
    const driver = driverFor(host, image && 'id' in image ? image : later, 'browser');
    return { accel, accelReason, driver, problem: null };
  } catch (error) {
    const problem = AppError.inItsWords(error);
    // What the VMM lacks says nothing of the accelerator.
    if (vmm !== 'auto') return { ...chosenHost(facts, { ...settings, AIRLOCK_VMM: 'auto' }), driver: null, problem };
    return { ...fallback, accelReason: problem.message, problem };
  }
}

const ok = (about: string, found: string): Finding => ({ about, status: 'ok', found, todo: '' });
const remark = (about: string, found: string, todo: string): Finding => ({ about, status: 'note', found, todo });
const blocks = (about: string, found: string, todo: string): Finding => ({ about, status: 'blocks', found, todo });

/** One finding a subject, in the order in which one would repair them. */
export function judge(facts: HostFacts, settings: Settings): Finding[] {
  const choice = choose(facts, settings);
  return [
    judgeNode(facts),
    judgeDebian(facts),
    judgePackages(facts),
    ...judgeQemu(facts),
    judgeAccelerator(choice),
    ...judgeDriver(choice),
    judgeNetwork(facts),
    judgeMemory(facts, settings, choice),
    judgeDisk(facts, settings, choice),
    judgeSecrets(facts, settings),
    judgeUser(facts),
    judgeImage(facts),
    judgePort(facts, settings),
    judgeUpstream(facts),
    ...judgeNames(facts),
    ...judgeExtraCa(facts),
    ...judgeVaultKey(facts, settings),
    ...judgeFolders(facts, settings),
  ];
}

function judgeNode({ node }: HostFacts): Finding {
  const [major = 0, minor = 0] = node.split('.').map(Number);
  const fits = (major === 20 && minor >= 19) || (major === 22 && minor >= 12) || major > 22;
  return fits ? ok('Node', node) : blocks('Node', node, 'Install Node 20.19 or newer of Node 20, or 22.12 and newer.');
}

function judgeDebian({ os }: HostFacts): Finding {
  if (os.id === 'debian' && ['bookworm', 'trixie'].includes(os.codename)) return ok('System', os.name);
  return remark('System', os.name || 'unknown', 'Airlock is made for Debian 12 and 13; elsewhere you are on your own.');
}

function judgePackages({ missingPackages, os }: HostFacts): Finding {
  if (missingPackages === null)
    return remark('Packages', 'dpkg is not there', 'See scripts/packages.json for what is needed.');
  if (missingPackages.length === 0) return ok('Packages', 'all installed');
  const found = `missing or too old: ${missingPackages.map((entry) => entry.name).join(', ')}`;
  const todo = `Run \`node scripts/host-packages.mjs run\`${os.id === 'debian' ? '' : ' on Debian'}, or \`npm run up\`.`;
  return blocks('Packages', found, todo);
}

function judgeQemu({ probe, qbootRom }: HostFacts): Finding[] {
  const install = 'Run `node scripts/host-packages.mjs run`.';
  if ('error' in probe)
    return [blocks('QEMU', `the runner's probe failed: ${probe.error}`, 'Run `npm run build`, then try again.')];
  const qemu = probe.drivers.find(({ emulation }) => emulation);
  return [
    qemu?.ok === true
      ? ok('QEMU', `${qemu.version ?? 'unknown'} (${qemu.path ?? '?'})`)
      : blocks('QEMU', qemu?.reason ?? 'no driver', install),
    qbootRom
      ? ok('Firmware', qbootRom)
      : blocks('Firmware', 'qboot.rom was not found', `${install} It is in qemu-system-data.`),
    // What needs KVM is no part of what Airlock cannot do without.
    ...probe.drivers
      .filter(({ emulation, version }) => !emulation && version !== null)
      .map(({ name, reason }) => ok(name, reason)),
  ];
}

function judgeAccelerator({ accel, accelReason, problem }: Choice): Finding {
  // Another problem is that of the VMM, which has a finding of its own.
  if (problem?.code === 'host_unsupported') return blocks('Virtualisation', problem.message, problem.hint);
  if (accel === 'kvm') return ok('Virtualisation', `kvm (${accelReason})`);
  return remark('Virtualisation', `tcg: ${accelReason}`, 'Works, several times slower than KVM of real hardware.');
}

/** Without a VMM there is a finding on QEMU already. */
function judgeDriver({ driver, problem }: Choice): Finding[] {
  if (problem && ['vmm_unavailable', 'image_too_old'].includes(problem.code))
    return [blocks('VMM', problem.message, problem.hint)];
  return driver ? [ok('VMM', `${driver.driver}: ${driver.driverReason}`)] : [];
}

function judgeNetwork({ network }: HostFacts): Finding {
  if ('problem' in network) return blocks('Network of VMs', network.problem, network.todo);
  return ok('Network of VMs', `${network.network}: ${network.networkReason}`);
}

function judgeMemory({ capacity: { memory } }: HostFacts, settings: Settings, choice: Choice): Finding {
  const each = mebibytes(settings.AIRLOCK_VM_MEMORY_MIB);
  const free = `${mebibytes(memory.availableMib)} of ${mebibytes(memory.totalMib)} free`;
  const found = `${free}, ${mebibytes(choice.room.memoryMib)} for more VMs: ${choice.vmsThatFit} VMs of ${each} fit`;
  if (choice.vmsWithoutOthers === 0) return blocks('Memory', found, 'Free some memory: not a single VM fits.');
  // A host that its VMs fill is in use, not broken: its controller must come up, if only to end them.
  if (choice.vmsThatFit === 0) return remark('Memory', found, 'New sign-ins are refused until a VM has ended.');
  if (choice.vmsThatFit === 1) return remark('Memory', found, 'A sign-in uses two VMs: free some memory.');
  return ok('Memory', found);
}

/** A CLI VM has disks of its own; an image that is to be built needs room before that. */
function judgeDisk({ capacity: { disk }, image }: HostFacts, settings: Settings, { room }: Choice): Finding {
  const found = `${mebibytes(disk.freeMib)} free under ${disk.path}, ${mebibytes(room.diskMib)} for more VMs`;
  const building = image === null ? imageBuildMib.work + imageBuildMib.images : 0;
  const cliMib = cliDisksMib(settings.AIRLOCK_HOME_DISK_GIB);
  const short = building + cliMib - room.diskMib;
  if (short <= 0) return ok('Disk', found);
  const todo = `Free ${mebibytes(short)}, or put AIRLOCK_HOME on a larger disk.`;
  return building > room.diskMib
    ? blocks('Disk', `${found}; building the image needs ${mebibytes(building)}`, todo)
    : remark('Disk', `${found}; the disks of a CLI VM need ${mebibytes(cliMib)}`, todo);
}

function judgeSecrets({ memoryFolder }: HostFacts, settings: Settings): Finding {
  if ('path' in memoryFolder) return ok('Secrets', `of running VMs lie in memory, below ${memoryFolder.path}`);
  if (settings.AIRLOCK_SECRETS_ON_DISK === 'yes')
    return remark('Secrets', `${memoryFolder.problem} AIRLOCK_SECRETS_ON_DISK=yes`, 'They lie on the disk.');
  return blocks('Secrets', memoryFolder.problem, 'Mount a tmpfs on /dev/shm, or set AIRLOCK_SECRETS_ON_DISK=yes.');
}

/** Where people count on one another being kept out. */
export const ratherNotRoot =
  'Works, but a hole in QEMU would be root’s: rather run Airlock under an account of its own (deploy/airlock.service).';

export const buildOutside =
  'Build the image outside of the service, as docs/operations.md says: `air npx airlock image build`. Then start it again.';

/** Only building an image needs these rights: an image that is there can be used without. */
function judgeUser({ uid, noNewPrivileges, userNamespaces, subordinateIds, image }: HostFacts): Finding {
  if (uid === 0) return remark('User', 'root', ratherNotRoot);
  const problem = image === null ? blocks : remark;
  // In the service, whose unit takes these rights, an image that is there is all that it needs.
  if (noNewPrivileges && image !== null) return ok('User', `uid ${uid}, without new privileges`);
  if (noNewPrivileges)
    return blocks('User', `uid ${uid}, and no image can be built without new privileges`, buildOutside);
  const found = `uid ${uid}; the image cannot be built by this user: `;
  if (!userNamespaces) {
    return problem(
      'User',
      `${found}user namespaces are refused`,
      'Allow them: `sysctl kernel.unprivileged_userns_clone=1`.',
    );
  }
  if (!subordinateIds) {
    const range = '100000-165535';
    const todo = `Add some: \`usermod --add-subuids ${range} --add-subgids ${range} $(id -un ${uid})\` as root.`;
    return problem('User', `${found}it has no ids in /etc/subuid and /etc/subgid`, todo);
  }
  return ok('User', `uid ${uid}, user namespaces allowed`);
}

function judgeImage({ image }: HostFacts): Finding {
  const build = '`npm run up` builds it, or `airlock image build`.';
  if (image === null) return remark('Image', 'none is current', build);
  if ('problem' in image) return remark('Image', `broken: ${image.problem}`, build);
  return ok('Image', `${image.id} of ${image.createdAt}, Chromium ${image.chromium}`);
}

function judgePort({ controller, portFree }: HostFacts, { AIRLOCK_HOST, AIRLOCK_PORT }: Settings): Finding {
  if (controller?.status) return ok('Controller', `running at ${controller.url}, pid ${controller.pid}`);
  if (controller)
    return remark(
      'Controller',
      `pid ${controller.pid} at ${controller.url} does not answer well`,
      'See controller.log.',
    );
  if (portFree === false) {
    const todo = 'Stop the program that uses it, or set AIRLOCK_PORT.';
    return blocks('Controller', `not running; ${AIRLOCK_HOST}:${AIRLOCK_PORT} cannot be listened on`, todo);
  }
  return ok('Controller', `not running; ${AIRLOCK_HOST}:${AIRLOCK_PORT} is free`);
}

function judgeUpstream({ upstream }: HostFacts): Finding {
  if (upstream === null) return ok('Upstream proxy', 'none: VMs go out directly through the egress gateway');
  const found = `${upstream.address} ${upstream.reachable ? upstream.reason : `cannot be reached (${upstream.reason})`}`;
  return upstream.reachable
    ? ok('Upstream proxy', found)
    : remark('Upstream proxy', found, 'VMs will have no internet: check AIRLOCK_UPSTREAM_PROXY.');
}

/** One line for all: where a resolver makes addresses up, it does so for every name. */
function judgeNames({ refusedHosts: [first, ...more] }: HostFacts): Finding[] {
  if (!first) return [];
  const hosts = [first, ...more].map(({ host }) => host).join(', ');
  const found = `VMs are refused ${hosts}: for this host the name leads to ${first.address}, which is not a public address`;
  return [remark('Names', found, wayOut(first.address) || 'Correct what this host resolves the name by.')];
}

function judgeVaultKey({ vaultKey }: HostFacts, { AIRLOCK_VAULT_KEY_FILE: elsewhere }: Settings): Finding[] {
  if (vaultKey === null) return [];
  const { path, mode } = vaultKey;
  if (othersMayRead(path, mode)) {
    return [blocks('Vault key', `${path} can be read by others (mode ${mode.toString(8)})`, `Run: chmod 600 ${path}`)];
  }
  return [ok('Vault key', `${path}${elsewhere === undefined ? ': a copy of all AIRLOCK_HOME opens everything' : ''}`)];
}

function judgeExtraCa({ extraCa }: HostFacts): Finding[] {
  if (extraCa === null) return [];
  if ('problem' in extraCa) return [blocks('Extra CA', extraCa.problem, extraCa.todo)];
  const { path, certificates, others } = extraCa;
  const found = `${certificates} ${certificates === 1 ? 'certificate' : 'certificates'} in ${path}`;
  if (others.length === 0) return [ok('Extra CA', found)];
  const todo = 'VMs get the certificates alone; keep anything else in a file of its own.';
  return [remark('Extra CA', `${found}, which also holds: ${others.join(', ')}`, todo)];
}

/** A key that is there can be read where its folder cannot be written to: only a rotation fails. */
function judgeFolders({ folders: { refused, service }, vaultKey }: HostFacts, settings: Settings): Finding[] {
  const works = (about: string): boolean => about === 'Vault key' && vaultKey !== null;
  return [
    ...refused.map(({ about, found, todo }) => (works(about) ? remark : blocks)(about, found, todo)),
    ...outsideOfService(service, settings).map(({ found, todo }) => remark('Service', found, todo)),
  ];
}
