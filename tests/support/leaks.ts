/**
 * What a test may leave behind on this host, compared before and after. Looks only at what is ours: processes that
 * descend from this one, name the AIRLOCK_HOME or are in another network than this one, their listening ports, named network namespaces,
 * mounts, cgroups of VMs, interfaces and packet filters of the host, temp folders.
 */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '@airlock/contract/process';
import { until } from './poll.js';

export interface LeakScope {
  /** AIRLOCK_HOME of the controller under test. */
  home: string;
  /** Entries of /dev/shm, /run and the temp folder, and mount points, that count as ours; /airlock/i by default. */
  names?: RegExp;
}

/** Each entry is a readable line; two snapshots are compared line by line. */
export interface Snapshot {
  scope: LeakScope;
  processes: string[];
  listeningPorts: string[];
  networkNamespaces: string[];
  mounts: string[];
  /** Of VMMs that were locked up, by VM. */
  cgroups: string[];
  /** Of networks, on the host itself. */
  interfaces: string[];
  /** Tables of the host's packet filter. */
  packetFilters: string[];
  paths: string[];
}

export async function takeSnapshot(scope: LeakScope): Promise<Snapshot> {
  const names = scope.names ?? /airlock/i;
  const own = (await listProcesses()).filter((one) => one.pid !== process.pid);
  const ours = await ourProcesses(own, scope.home);
  const [listeningPorts, networkNamespaces, mounts, cgroups, interfaces, packetFilters, paths] = await Promise.all([
    portsOf([{ pid: process.pid, parent: 0, started: '', command: 'this test' }, ...ours]),
    entriesOf('/run/netns', /./),
    mountsOf(names, scope.home),
    // Of version 1 and 2, wherever the helper's own part of the tree is.
    linesOf('find', '/sys/fs/cgroup', '-type', 'd', '-name', 'vm_*'),
    entriesOf('/sys/class/net', /./),
    process.getuid?.() === 0 ? linesOf('nft', 'list', 'tables') : [],
    Promise.all(['/dev/shm', '/run', tmpdir()].map(async (folder) => entriesOf(folder, names))).then((all) =>
      all.flat(),
    ),
  ]);
  const processes = ours.map(({ pid, started, command }) => `pid ${pid} (start ${started}): ${command.slice(0, 200)}`);
  return { scope, processes, listeningPorts, networkNamespaces, mounts, cgroups, interfaces, packetFilters, paths };
}

/** @throws Error that lists, by kind, everything that is there after and was not there before. */
export function assertNoLeaks(before: Snapshot, after: Snapshot): void {
  const leaks = findLeaks(before, after);
  if (leaks.length > 0) throw new Error(`Left behind:\n${leaks.map((leak) => `  ${leak}`).join('\n')}`);
}

/** Waits for processes that are just ending. @throws Error like assertNoLeaks when something is still there at the deadline. */
export async function untilNoLeaks(before: Snapshot, timeoutMs: number): Promise<void> {
  let after = before;
  const clean = async (): Promise<boolean> => {
    after = await takeSnapshot(before.scope);
    return findLeaks(before, after).length === 0;
  };
  await until('everything to be cleaned up', clean, { timeoutMs, intervalMs: 200 }).catch((error: unknown) => {
    assertNoLeaks(before, after);
    throw error;
  });
}

/** The new lines of `after`, each with its kind. */
export function findLeaks(before: Snapshot, after: Snapshot): string[] {
  const kinds = [
    ...(['processes', 'listeningPorts', 'networkNamespaces', 'mounts'] as const),
    ...(['cgroups', 'interfaces', 'packetFilters', 'paths'] as const),
  ];
  return kinds.flatMap((kind) => {
    const known = new Set(before[kind]);
    return after[kind].filter((line) => !known.has(line)).map((line) => `${kind}: ${line}`);
  });
}

interface Process {
  pid: number;
  parent: number;
  /** Clock ticks after boot; together with the pid unique. */
  started: string;
  command: string;
}

async function listProcesses(): Promise<Process[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const all = await Promise.all(pids.map(async (pid) => unlessGone(readProcess(pid))));
  return all.filter((one) => one !== undefined);
}

async function readProcess(pid: string): Promise<Process | undefined> {
  const [stat, command] = await Promise.all([
    readFile(`/proc/${pid}/stat`, 'utf8'),
    readFile(`/proc/${pid}/cmdline`, 'utf8'),
  ]);
  // Field 2 is the name in parentheses and may hold anything; the rest is counted from behind it.
  const [state, parent, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (state === 'Z') return undefined;
  return {
    pid: Number(pid),
    parent: Number(parent),
    started: rest[17] ?? '',
    command: command.replaceAll('\0', ' ').trim(),
  };
}

async function ourProcesses(all: Process[], home: string): Promise<Process[]> {
  const parents = new Map(all.map((one) => [one.pid, one.parent]));
  const descends = (one: Process): boolean => {
    for (let pid: number | undefined = one.parent; pid !== undefined && pid > 1; pid = parents.get(pid)) {
      if (pid === process.pid) return true;
    }
    return false;
  };
  const kept = await Promise.all(
    all.map(async (one) => descends(one) || one.command.includes(home) || (await livesIn(one.pid, home))),
  );
  return all.filter((_one, index) => kept[index]);
}

/** True when its environment or working folder names the home, or its network is another one; false also when we may not look. */
async function livesIn(pid: number, home: string): Promise<boolean> {
  const facts = await Promise.all([
    unlessGone(readFile(`/proc/${pid}/environ`, 'utf8')),
    unlessGone(readlink(`/proc/${pid}/cwd`)),
  ]);
  const [network, own] = await Promise.all(
    [pid, process.pid].map(async (one) => unlessGone(readlink(`/proc/${one}/ns/net`))),
  );
  return facts.some((fact) => fact?.includes(home) === true) || (network !== undefined && network !== own);
}

async function portsOf(owners: Process[]): Promise<string[]> {
  const tables = await Promise.all(
    ['/proc/net/tcp', '/proc/net/tcp6'].map(async (file) => unlessGone(readFile(file, 'utf8'))),
  );
  const listening = new Map<string, number>();
  for (const row of tables.flatMap((table) => (table ?? '').split('\n').slice(1))) {
    const [, local, , state, , , , , , inode] = row.trim().split(/\s+/);
    if (state === '0A' && inode !== undefined) listening.set(inode, Number.parseInt(local?.split(':')[1] ?? '', 16));
  }
  const found = await Promise.all(
    owners.map(async ({ pid, command }) => {
      const inodes = await socketsOf(pid);
      const ports = inodes.map((inode) => listening.get(inode)).filter((port) => port !== undefined);
      return ports.map((port) => `port ${port} of pid ${pid} (${command.slice(0, 80)})`);
    }),
  );
  return found.flat();
}

async function socketsOf(pid: number): Promise<string[]> {
  const names = (await unlessGone(readdir(`/proc/${pid}/fd`))) ?? [];
  const targets = await Promise.all(names.map(async (name) => unlessGone(readlink(`/proc/${pid}/fd/${name}`))));
  return targets.flatMap((target) => /^socket:\[(\d+)\]$/.exec(target ?? '')?.[1] ?? []);
}

async function mountsOf(names: RegExp, home: string): Promise<string[]> {
  const points = (await readFile('/proc/self/mounts', 'utf8')).split('\n').map((line) => line.split(' ')[1] ?? '');
  return points.filter((point) => names.test(point) || point.startsWith(home));
}

async function entriesOf(folder: string, names: RegExp): Promise<string[]> {
  const entries = (await unlessGone(readdir(folder))) ?? [];
  return entries.filter((name) => names.test(name)).map((name) => join(folder, name));
}

/** Of what a program prints; none where it is not installed. */
async function linesOf(program: string, ...args: string[]): Promise<string[]> {
  const { stdout } = await run(program, args, { okCodes: [0, 1] }).catch(() => ({ stdout: '' }));
  return stdout.split('\n').filter(Boolean);
}

/** The value, or undefined when the file or process is gone, or belongs to another user. */
async function unlessGone<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES' || code === 'EPERM') return undefined;
    throw error;
  }
}
