/** Looks at this host: measured facts, no judgement (that is findings.ts). Changes nothing; every wait is bounded. */
import { access, readFile, realpath, stat } from 'node:fs/promises';
import { connect as connectSocket } from 'node:net';
import { createServer } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import type { HostCapacity } from '@airlock/contract/capacity';
import { AppError } from '@airlock/contract/errors';
import { readGates, type GateVerdicts } from '@airlock/contract/driver-gate';
import { readExtraCa } from '@airlock/contract/extra-ca';
import { nullIfAbsent } from '@airlock/contract/file';
import { homePaths, readControllerFile } from '@airlock/contract/home';
import { readHostCapacity } from '@airlock/contract/host-capacity';
import { imageFiles, ImageManifest } from '@airlock/contract/image';
import { findMemoryFolder, type MemoryFolder } from '@airlock/contract/memory-folder';
import { chooseNetwork, type NetworkChoice } from '@airlock/contract/network-choice';
import { run } from '@airlock/contract/process';
import { runProbe } from '@airlock/contract/run-probe';
import type { HostProbe } from '@airlock/contract/runner';
import { SystemStatus } from '@airlock/contract/api';
import { upstreamUrlFor, type Settings } from '@airlock/contract/settings';
import { whyNotWritable } from '@airlock/contract/writable';
import { connect } from '../lib/api.js';
import { packageListFile, programs } from '../lib/checkout.js';
import { lookAtFolders, type FolderFacts } from './folders.js';
import { findRefusedHosts, type RefusedHost } from './names.js';

export interface HostFacts {
  node: string;
  os: { id: string; codename: string; name: string };
  uid: number;
  /** An ordinary user may make user namespaces (needed to build an image without root). */
  userNamespaces: boolean;
  /** The user's lines in /etc/subuid and /etc/subgid are there (needed for the same). */
  subordinateIds: boolean;
  /** This process gets no rights that it has not, whatever it starts: in the service. No image can be built then, except by root. */
  noNewPrivileges: boolean;
  folders: FolderFacts;
  /** What the runner measured, or why it could not. */
  probe: HostProbe | { error: string };
  /** Of drivers that are not taken before they have booted the image here. */
  gates: GateVerdicts;
  qbootRom: string | null;
  /** Which network VMs get, or why none. */
  network: NetworkChoice | { problem: string; todo: string };
  /** Memory and disk, and what the VMs of this home have of both. */
  capacity: HostCapacity;
  /** Where secrets of running VMs can lie. */
  memoryFolder: MemoryFolder;
  /** Names and reasons of Debian packages that are not there or too old; null where dpkg is not there. */
  missingPackages: { name: string; why: string }[] | null;
  image: (Pick<ImageManifest, 'id' | 'createdAt' | 'drivers'> & { chromium: string }) | { problem: string } | null;
  controller: { url: string; pid: number; status: SystemStatus | null } | null;
  /** Whether the wanted port is free; null while the controller itself is using it. */
  portFree: boolean | null;
  /** Address without user and password; null when no upstream is configured. */
  upstream: { address: string; reachable: boolean; reason: string } | null;
  refusedHosts: RefusedHost[];
  /** `others`: what the file holds besides certificates, such as `PRIVATE KEY`. */
  extraCa: { path: string; certificates: number; others: string[] } | { problem: string; todo: string } | null;
  /** The file of the vault key; null when there is none yet, or this user does not see it. */
  vaultKey: { path: string; mode: number } | null;
}

const PackageList = z.object({
  debian: z.object({
    run: z.array(z.object({ name: z.string(), why: z.string(), minVersion: z.string().optional() })),
  }),
});

/** Gathers everything at once; a fact that cannot be had is reported as such and is never an exception. */
export async function gatherFacts(settings: Settings): Promise<HostFacts> {
  const home = settings.AIRLOCK_HOME;
  const controller = await findController(home);
  const probe = probeHost(home);
  return allOf({
    node: process.versions.node,
    os: readOsRelease(),
    uid: process.getuid?.() ?? -1,
    userNamespaces: succeeds('unshare', ['--user', '--map-root-user', 'true']),
    subordinateIds: hasSubordinateIds(),
    noNewPrivileges: hasNoNewPrivileges(),
    folders: lookAtFolders(settings),
    probe,
    gates: probe.then((found) => ('error' in found ? {} : readGates(home, found))),
    qbootRom: findQboot(),
    network: findNetwork(settings),
    capacity: readHostCapacity(home),
    memoryFolder: findMemoryFolder(),
    missingPackages: findMissingPackages(),
    image: readImage(home),
    controller,
    portFree: controller ? null : isPortFree(settings),
    upstream: checkUpstream(settings),
    refusedHosts: findRefusedHosts(settings),
    extraCa: checkExtraCa(settings.AIRLOCK_EXTRA_CA),
    vaultKey: findVaultKey(settings.AIRLOCK_VAULT_KEY_FILE ?? homePaths(home).vaultKey),
  });
}

/** The same members, each with what its promise resolves to. */
async function allOf<T extends object>(facts: T): Promise<{ [K in keyof T]: Awaited<T[K]> }> {
  const entries = Object.entries(facts).map(async ([name, fact]) => [name, await (fact as unknown)] as const);
  return Object.fromEntries(await Promise.all(entries)) as { [K in keyof T]: Awaited<T[K]> };
}

async function readOsRelease(): Promise<HostFacts['os']> {
  const text = (await readFile('/etc/os-release', 'utf8').catch(nullIfAbsent)) ?? '';
  const field = (name: string): string => new RegExp(`^${name}="?([^"\\n]*)`, 'm').exec(text)?.[1] ?? '';
  return { id: field('ID'), codename: field('VERSION_CODENAME'), name: field('PRETTY_NAME') };
}

async function succeeds(file: string, args: string[]): Promise<boolean> {
  return run(file, args, { timeoutMs: 10_000 }).then(
    () => true,
    () => false,
  );
}

/** Whether this user has ids of its own to map into a user namespace; `useradd` gives them, a directory service does not. */
async function hasSubordinateIds(): Promise<boolean> {
  const { uid, username } = userInfo();
  const owns = (text: string | null): boolean =>
    (text ?? '').split('\n').some((line) => [`${uid}`, username].includes(line.split(':')[0] ?? ''));
  const files = ['/etc/subuid', '/etc/subgid'].map((file) => readFile(file, 'utf8').catch(nullIfAbsent));
  return (await Promise.all(files)).every(owns);
}

async function hasNoNewPrivileges(): Promise<boolean> {
  return /^NoNewPrivs:\s+1$/m.test(await readFile('/proc/self/status', 'utf8'));
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** The verdict is kept in the home's cache, once there is a home that can be written to. */
async function probeHost(home: string): Promise<HostFacts['probe']> {
  const keeps = (await exists(home)) && (await whyNotWritable(home, 'AIRLOCK_HOME')) === null;
  const cache = keeps && { cache: homePaths(home).hostProbe };
  try {
    return await runProbe({ program: programs.runner, ...cache });
  } catch (error) {
    return { error: AppError.inItsWords(error).message };
  }
}

async function findQboot(): Promise<string | null> {
  const places = ['/usr/share/qemu/qboot.rom', '/usr/share/qboot/qboot.rom', '/usr/share/qemu/qboot/bios.bin'];
  const found = await Promise.all(places.map(exists));
  return places.find((_place, index) => found[index]) ?? null;
}

async function findNetwork(settings: Settings): Promise<HostFacts['network']> {
  try {
    return await chooseNetwork(settings.AIRLOCK_NETWORK, settings.AIRLOCK_HELPER_SOCKET);
  } catch (error) {
    const { message, hint } = AppError.inItsWords(error);
    return { problem: message, todo: hint };
  }
}

async function findMissingPackages(): Promise<HostFacts['missingPackages']> {
  const wanted = PackageList.parse(JSON.parse(await readFile(packageListFile, 'utf8'))).debian.run;
  const format = '${Package} ${db:Status-Abbrev} ${Version}\\n';
  const names = wanted.map((entry) => entry.name);
  const rows = await run('dpkg-query', ['-W', '-f', format, ...names], { okCodes: [0, 1], timeoutMs: 10_000 }).then(
    ({ stdout }) => stdout.split('\n').map((line) => line.split(/\s+/)),
    () => null,
  );
  if (rows === null) return null;
  const versions = new Map(
    rows.filter(([, status]) => status?.[1] === 'i').map(([name, , version]) => [name, version]),
  );
  const enough = await Promise.all(
    wanted.map(async ({ name, minVersion }) => {
      const version = versions.get(name);
      if (version === undefined || minVersion === undefined) return version !== undefined;
      return succeeds('dpkg', ['--compare-versions', version, 'ge', minVersion]);
    }),
  );
  return wanted.filter((_entry, index) => !enough[index]).map(({ name, why }) => ({ name, why }));
}

async function readImage(home: string): Promise<HostFacts['image']> {
  const folder = homePaths(home).images.current;
  const text = await readFile(join(folder, imageFiles.manifest), 'utf8').catch(nullIfAbsent);
  if (text === null) return null;
  try {
    const manifest = ImageManifest.parse(JSON.parse(text));
    for (const artefact of Object.values(manifest.artefacts)) {
      const { size } = await stat(join(folder, artefact.file));
      if (size !== artefact.size) return { problem: `${artefact.file} has ${size} bytes, not ${artefact.size}` };
    }
    const { id, createdAt, drivers, versions } = manifest;
    return { id, createdAt, drivers, chromium: versions.chromium };
  } catch (error) {
    const where = await realpath(folder);
    return {
      problem: `${where}: ${error instanceof z.ZodError ? 'unexpected manifest' : AppError.inItsWords(error).message}`,
    };
  }
}

/** A controller.json whose process has gone counts as no controller. */
async function findController(home: string): Promise<HostFacts['controller']> {
  const file = await readControllerFile(home).catch(() => null);
  if (!file || !(await exists(`/proc/${file.pid}`))) return null;
  try {
    const api = await connect(home);
    try {
      const status = await api.call('GET', '/api/system', SystemStatus, { timeoutMs: 5000 });
      return { url: file.url, pid: file.pid, status };
    } finally {
      await api.close();
    }
  } catch (error) {
    return AppError.inItsWords(error).code === 'controller_unreachable'
      ? null
      : { url: file.url, pid: file.pid, status: null };
  }
}

async function isPortFree({ AIRLOCK_HOST, AIRLOCK_PORT }: Settings): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(AIRLOCK_PORT, AIRLOCK_HOST, () => server.close(() => resolve(true)));
  });
}

async function checkUpstream(settings: Settings): Promise<HostFacts['upstream']> {
  const url = upstreamUrlFor(settings, settings.AIRLOCK_PROXY_PORT_BASE);
  if (url === null) return null;
  const { hostname, port } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, '');
  return new Promise((resolve) => {
    const socket = connectSocket({ host, port: Number(port || 80), timeout: 3000 });
    const end = (reachable: boolean, reason: string): void => {
      socket.destroy();
      resolve({ address: `${hostname}:${port || 80}`, reachable, reason });
    };
    socket.once('connect', () => end(true, 'accepts connections'));
    socket.once('timeout', () => end(false, 'no answer within 3 s'));
    socket.once('error', (error: NodeJS.ErrnoException) => end(false, error.code ?? error.message));
  });
}

async function findVaultKey(path: string): Promise<HostFacts['vaultKey']> {
  return stat(path).then(
    ({ mode }) => ({ path, mode: mode & 0o777 }),
    () => null,
  );
}

async function checkExtraCa(path: string | undefined): Promise<HostFacts['extraCa']> {
  if (path === undefined) return null;
  try {
    const { certificates, others } = await readExtraCa(path);
    return { path, certificates, others };
  } catch (error) {
    const { message, hint } = AppError.inItsWords(error);
    return { problem: message, todo: hint };
  }
}
