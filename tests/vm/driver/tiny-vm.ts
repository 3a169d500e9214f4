/**
 * A VM of the tiny guest under one driver, run by the real runner: what the conformance tests do with it. Everything it has is
 * below one folder, which `remove` takes away.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, open, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { bootLimits } from '@airlock/contract/capacity';
import { encodeSlot } from '@airlock/contract/config-drive';
import type { GuestConfig } from '@airlock/contract/guest';
import { homePaths } from '@airlock/contract/home';
import { createJsonClient } from '@airlock/contract/http-client';
import { newId } from '@airlock/contract/ids';
import { imageFiles } from '@airlock/contract/image';
import { secretFolderOf } from '@airlock/contract/memory-folder';
import { isRunning } from '@airlock/contract/process';
import { bootBoundOf, runnerFiles, RunnerStatus, type RunnerSecrets, type VmSpec } from '@airlock/contract/runner';
import { tinyRootDisk } from '@airlock/runner/fixtures/tiny-guest';
import { chooseDriver } from '@airlock/runner/vmm/registry';
import type { z } from 'zod';
import { firecrackerBinaries } from '../../support/firecracker-binaries.js';
import { probeHost, runnerMain } from '../../support/host-probe.js';
import { helperSkip, listenAsHelper, type ListeningHelper } from '../../support/privileged-helper.js';
import { until } from '../../support/poll.js';

/** Milliseconds that starts and ends may take on a busy machine. */
export const patienceMs = 60_000;

export interface Offer extends Pick<VmSpec, 'driver' | 'accel' | 'tscKhz'> {
  /** As in the table of drivers: `qemu-kvm/netns`. */
  name: string;
  /** The VMM's own, or a namespace that a privileged helper makes, which locks the VMM up as well. */
  network: 'user' | 'netns';
  /** Why it cannot run VMs here; null when it can. */
  skip: string | null;
  /** Why it can run none with Linux in it, which takes more; null when it can. */
  noLinux: string | null;
  /** Milliseconds that Linux has to its desktop: as many as the product gives it on this host. */
  bootMs: number;
}

/** Every driver of the registry with every network that it takes, as this host offers it; with TEST_DRIVER, or TEST_NETWORK, only that one. */
export async function findOffers(): Promise<Offer[]> {
  const only = process.env['TEST_DRIVER'];
  if (only === undefined || only === 'firecracker') await findFirecracker();
  const { drivers, kvm, tscKhz, countMs } = await probeHost();
  const wanted = drivers.filter(({ name }) => only === undefined || name === only);
  if (wanted.length === 0) throw new Error(`The registry has no driver "${only}".`);
  return wanted.flatMap(({ name: driver, version, ok, emulation, reason }) => {
    // However slow KVM is, it runs a tiny guest; and a driver that nothing chooses yet is tried, too.
    const isThere = emulation ? ok : version !== null;
    const skip = !isThere ? reason : emulation || kvm.present ? null : `It needs KVM. ${kvm.reason}`;
    const noLinux = skip ?? (emulation || kvm.usable ? null : `It needs KVM that can carry Linux. ${kvm.reason}`);
    const accel = kvm.usable || !emulation ? 'kvm' : 'tcg';
    const bootMs = bootBoundOf(bootLimits({ accel, countMs }));
    const offer = { driver, accel, tscKhz, noLinux, bootMs } as const;
    const name = emulation && accel === 'kvm' ? `${driver}-kvm` : driver;
    const forms = chooseDriver(offer).capabilities.networks;
    const offers = forms.map((form) =>
      form === 'tap'
        ? { ...offer, name: `${name}/netns`, network: 'netns' as const, skip: skip ?? helperSkip() }
        : { ...offer, name: `${name}/user`, network: 'user' as const, skip },
    );
    const onlyNetwork = process.env['TEST_NETWORK'];
    return offers.filter(({ network }) => onlyNetwork === undefined || network === onlyNetwork);
  });
}

/** On the path from now on: of this process, and so of its runners. */
async function findFirecracker(): Promise<void> {
  const folder = dirname((await firecrackerBinaries()).firecracker);
  const path = process.env['PATH'] ?? '';
  if (!path.split(':').includes(folder)) process.env['PATH'] = `${folder}:${path}`;
}

export interface TinyVm {
  readonly spec: VmSpec;
  readonly folder: string;
  /** Where its network is a namespace. */
  readonly helper: ListeningHelper | null;
  /** Starts the runner. */
  start(): ChildProcess;
  /** The exit code of the newest runner. */
  exitCode(): Promise<number | null>;
  /** What the guest wrote, once `text` is among it. */
  untilConsole(text: string): Promise<string>;
  /** The status once it is as wanted, asked from the runner. */
  statusWhen(wanted: (status: RunnerStatus) => boolean, timeoutMs?: number): Promise<RunnerStatus>;
  /** A call on the runner's socket. */
  call<T>(method: 'GET' | 'POST', path: string, schema: z.ZodType<T>, body?: unknown): Promise<T>;
  /** The last word of the runner. */
  lastStatus(): Promise<RunnerStatus>;
  stop(graceMs: number): Promise<void>;
  /** Writes a generation into its slot behind the runner's back. */
  writeGeneration(generation: number): Promise<void>;
  /** @throws Error when anything but records is left: a process, a socket, a config drive */
  expectReleased(): Promise<void>;
  remove(): Promise<void>;
}

/** Makes the folder of a VM; nothing runs yet. `change` is told what the specification would be. */
export async function createTinyVm(
  offer: Offer,
  kernel: Buffer,
  change: (spec: VmSpec) => Partial<VmSpec> = () => ({}),
): Promise<TinyVm> {
  // A comma and a space, which separate options somewhere; a helper's folders are the administrator's, who has none there.
  const root = await mkdtemp(join(tmpdir(), offer.network === 'user' ? 'airlock-d-, ' : 'airlock-d-'));
  const vmId = newId('vm');
  const paths = homePaths(root);
  const image = paths.images.image('img_tiny01');
  const [folder, secretFolder] = [paths.vm(vmId), secretFolderOf(root, root, vmId)];
  const files = {
    kernel: join(image, imageFiles.kernel),
    initrd: join(image, imageFiles.initrd),
    root: join(image, imageFiles.rootfs),
  };
  await Promise.all([folder, secretFolder, image].map((path) => mkdir(path, { mode: 0o700, recursive: true })));
  const helper = offer.network === 'netns' ? await listenAsHelper(root) : null;
  await writeFile(files.kernel, kernel);
  await writeFile(files.initrd, 'no initrd');
  await writeFile(files.root, tinyRootDisk());
  const { driver, accel, tscKhz } = offer;
  const spec: VmSpec = {
    ...{ version: 2, vmId, kind: 'browser', epoch: 1, driver, accel, cpus: 1, memoryMib: 64, tscKhz },
    ...{ kernel: files.kernel, initrd: files.initrd, secretFolder, bootTimeoutMs: 120_000, directHosts: [] },
    drives: [{ id: 'root', path: files.root, readOnly: true }],
    ...(helper && { helperSocket: helper.socket }),
  };
  const wanted = { ...spec, ...change(spec) };
  // A helper finds images below its home alone.
  const images = dirname(wanted.kernel);
  if (helper && !images.startsWith(root)) await symlink(images, paths.images.image(basename(images)));
  await writeFile(join(folder, runnerFiles.spec), JSON.stringify(wanted));
  return faceOf({ root, folder, spec: wanted, runners: [], helper });
}

interface Ctx {
  root: string;
  folder: string;
  spec: VmSpec;
  runners: ChildProcess[];
  helper: ListeningHelper | null;
}

function faceOf(ctx: Ctx): TinyVm {
  const { folder, spec, helper } = ctx;
  const readText = async (name: string): Promise<string> => readFile(join(folder, name), 'latin1').catch(() => '');
  const lastStatus = async (): Promise<RunnerStatus> =>
    RunnerStatus.parse(JSON.parse(await readFile(join(folder, runnerFiles.status), 'utf8')));
  const explain = async (): Promise<string> => readText(runnerFiles.runnerLog);
  return {
    spec,
    folder,
    helper,
    start: () => startRunner(ctx),
    async exitCode() {
      const runner = ctx.runners.at(-1);
      if (!runner) throw new Error('No runner was started.');
      if (runner.exitCode === null && runner.signalCode === null) await once(runner, 'exit');
      return runner.exitCode;
    },
    untilConsole: (text) =>
      until(
        `the guest to write "${text}"`,
        async () => {
          const written = await readText(runnerFiles.serialLog);
          return written.includes(text) ? written : undefined;
        },
        // The bench takes the time of it.
        { timeoutMs: patienceMs, intervalMs: 5, explain },
      ),
    statusWhen: (wanted, timeoutMs = patienceMs) =>
      until(
        'the status',
        async () => {
          const status = await ask(folder, 'GET', '/status');
          if (status && wanted(status)) return status;
          if (status?.error) throw new Error(`The VM has failed: ${JSON.stringify(status.error, null, 2)}`);
          return undefined;
        },
        { timeoutMs, explain },
      ),
    call: (method, path, schema, body) => call(folder, { method, path, schema, body }),
    lastStatus,
    stop: async (graceMs) => void (await ask(folder, 'POST', '/stop', { graceMs })),
    writeGeneration: (generation) => writeGeneration(spec, generation),
    expectReleased: () => expectReleased(ctx, lastStatus),
    async remove() {
      for (const runner of ctx.runners.filter((child) => child.exitCode === null && child.signalCode === null)) {
        runner.kill('SIGKILL');
        await once(runner, 'exit');
      }
      await ctx.helper?.close();
      await rm(ctx.root, { recursive: true });
    },
  };
}

/** Of a process that may just have ended. */
export function kill9(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function startRunner({ folder, spec, runners }: Ctx): ChildProcess {
  const child = spawn(process.execPath, [runnerMain, folder], { cwd: folder, stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdout?.resume();
  child.stdin?.on('error', () => child.stdin?.destroy());
  child.stdin?.end(JSON.stringify({ guestConfig: guestConfigOf(spec), upstream: null } satisfies RunnerSecrets));
  runners.push(child);
  return child;
}

export function guestConfigOf({ vmId, kind }: Pick<VmSpec, 'vmId' | 'kind'>): GuestConfig {
  return {
    ...{ version: 1, vmId, kind, sessionId: null, hostname: 'tiny', timezone: 'Etc/UTC', epochMs: Date.now() },
    ...{ entropy: Buffer.alloc(64).toString('base64'), agentToken: 't'.repeat(40), vncPassword: 'password' },
    ...{ homeKey: null, extraCaPem: null },
  };
}

interface Call<T> {
  method: 'GET' | 'POST';
  path: string;
  schema: z.ZodType<T>;
  body?: unknown;
}

async function call<T>(folder: string, { method, path, schema, body }: Call<T>): Promise<T> {
  const socketPath = join(folder, runnerFiles.socket);
  const name = 'the runner';
  const client = createJsonClient({ baseUrl: 'http://runner', socketPath, unreachable: 'runner_failed', name });
  try {
    return await client.call(method, path, schema, { timeoutMs: 90_000, ...(body !== undefined && { body }) });
  } finally {
    await client.close();
  }
}

/** The status that a call answers; undefined while there is no runner, or not any more. */
async function ask(
  folder: string,
  method: 'GET' | 'POST',
  path: string,
  body?: unknown,
): Promise<RunnerStatus | undefined> {
  try {
    return await call(folder, { method, path, schema: RunnerStatus, body });
  } catch (error) {
    if ((error as { code?: string }).code === 'runner_failed') return undefined;
    throw error;
  }
}

async function writeGeneration(spec: VmSpec, generation: number): Promise<void> {
  const { offset, bytes } = encodeSlot({ generation, config: guestConfigOf(spec) });
  const drive = await open(join(spec.secretFolder, `${spec.vmId}.config`), 'r+');
  await drive.write(bytes, 0, bytes.length, offset).finally(() => drive.close());
}

const records: readonly string[] = [
  ...[runnerFiles.spec, runnerFiles.status, runnerFiles.lock],
  ...[runnerFiles.runnerLog, runnerFiles.serialLog, runnerFiles.vmmLog],
];

async function expectReleased({ folder, spec }: Ctx, lastStatus: () => Promise<RunnerStatus>): Promise<void> {
  const files = (await readdir(folder)).filter((name) => !records.includes(name));
  const secrets = await readdir(spec.secretFolder);
  const { vmm } = await lastStatus();
  const alive = vmm !== null && (await isRunning(vmm)) ? [`VMM ${vmm.pid}`] : [];
  const left = [...files, ...secrets, ...alive];
  if (left.length > 0) throw new Error(`The VM left behind: ${left.join(', ')}`);
}
