/**
 * Runners on this host: one detached process per VM, so that a restart of the controller drops no VM.
 * Leaves behind after `remove`: the VM's spec, last status and bounded logs.
 */
import { once } from 'node:events';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { connectBulk, type BulkSocket } from '@airlock/contract/bulk-socket';
import { AppError, ErrorResponse } from '@airlock/contract/errors';
import { replaceFile } from '@airlock/contract/file';
import { homePaths } from '@airlock/contract/home';
import { createJsonClient, type JsonClient } from '@airlock/contract/http-client';
import { identifyProcess, isRunning, killExactly, tail } from '@airlock/contract/process';
import { readVmSpec, runnerFiles, RunnerStatus, VmSpec, type ProcessIdentity } from '@airlock/contract/runner';
import { spawnRunner } from '@airlock/contract/spawn-runner';
import type { Engine } from './engine.js';
import { makeSecretFolder, removeSecretFolder, type SecretSettings } from './secret-folder.js';

const runnerMain = fileURLToPath(import.meta.resolve('@airlock/runner/main'));
/** A runner answers on its socket within this time, in ms, or it has failed. Node itself starts in well under a second. */
const startTimeoutMs = 20_000;
/** Between two looks at a runner that comes up or ends, in ms. */
const pollMs = 50;
/** What `remove` keeps. */
const keptFiles: readonly string[] = [
  runnerFiles.spec,
  runnerFiles.status,
  runnerFiles.runnerLog,
  runnerFiles.serialLog,
  runnerFiles.vmmLog,
];

/** Engine for this host; VM folders are `<home>/vm/<id>`. */
export function createLocalEngine(settings: SecretSettings): Engine {
  const { vms: root, vm: folder, vmFile: file } = homePaths(settings.AIRLOCK_HOME);
  const clients = new Map<string, JsonClient>();

  function client(vmId: string): JsonClient {
    const known = clients.get(vmId);
    if (known) return known;
    const made = createJsonClient({
      baseUrl: 'http://runner',
      socketPath: file(vmId, 'socket'),
      unreachable: 'runner_failed',
      name: `the runner of ${vmId}`,
    });
    clients.set(vmId, made);
    return made;
  }

  async function dropClient(vmId: string): Promise<void> {
    const known = clients.get(vmId);
    clients.delete(vmId);
    await known?.close();
  }

  async function lastWord(vmId: string): Promise<RunnerStatus | undefined> {
    try {
      return RunnerStatus.parse(JSON.parse(await readFile(file(vmId, 'status'), 'utf8')));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw new AppError('runner_failed', `${file(vmId, 'status')} cannot be read.`, { cause: error });
    }
  }

  /**
   * The last word of the VM's runner. One that a controller started just before it was killed has not said anything yet:
   * it is found by its command line and waited for, so that no runner comes up behind the back of whoever asks.
   */
  async function heardOf(vmId: string): Promise<RunnerStatus | undefined> {
    const deadline = Date.now() + startTimeoutMs;
    for (;;) {
      const last = await lastWord(vmId);
      if (last) return last;
      const runner = await findRunner(folder(vmId));
      if (!runner) return lastWord(vmId);
      if (Date.now() > deadline) await killExactly(runner);
      await pause(pollMs);
    }
  }

  /** The config drive of a VM that no longer runs. */
  async function forgetSecrets(vmId: string): Promise<void> {
    const text = await readFile(file(vmId, 'spec'), 'utf8').catch(() => undefined);
    if (text === undefined) return;
    await removeSecretFolder(readVmSpec(text).secretFolder);
  }

  async function startFailure(vmId: string, reason: string): Promise<AppError> {
    const last = await lastWord(vmId);
    if (last?.error) return AppError.fromBody(last.error);
    const log = await readFile(file(vmId, 'runnerLog'), 'utf8').catch(() => '');
    return new AppError('runner_failed', `The runner of ${vmId} ${reason}.`, {
      hint: `Its log is ${file(vmId, 'runnerLog')}.`,
      details: { lastLog: tail(log) },
    });
  }

  return {
    folder,
    client,

    async prepare(vmId) {
      const path = vmId === undefined ? root : folder(vmId);
      await mkdir(path, { recursive: true, mode: 0o700 });
      return path;
    },

    async start(given, secrets) {
      await dropClient(given.vmId);
      await rm(file(given.vmId, 'status'), { force: true });
      // Not left to the runner: a browser VM counts as there as long as it has this folder.
      const secretFolder = await makeSecretFolder(given.vmId, settings);
      const spec = VmSpec.parse({ ...given, secretFolder });
      await replaceFile(file(spec.vmId, 'spec'), `${JSON.stringify(spec, null, 2)}\n`);
      const child = await spawnRunner({ program: runnerMain, folder: folder(spec.vmId), secrets, outlives: true });
      const exited = once(child, 'exit').then(([code, signal]) => `ended at once (${String(code ?? signal)})`);
      child.unref();
      const answered = waitUntilAnswering(
        () => client(spec.vmId).call('GET', '/status', RunnerStatus, { timeoutMs: 2000 }),
        startTimeoutMs,
      );
      const failure = await Promise.race([exited, answered]);
      if (failure !== null) {
        if (child.pid !== undefined && child.exitCode === null) child.kill('SIGKILL');
        throw await startFailure(spec.vmId, failure);
      }
    },

    async status(vmId) {
      const deadline = Date.now() + startTimeoutMs;
      for (;;) {
        const last = await heardOf(vmId);
        if (!last) return undefined;
        if (!(await isRunning(last.runner))) return { status: last, alive: false };
        try {
          return { status: await client(vmId).call('GET', '/status', RunnerStatus), alive: true };
        } catch (error) {
          // It opens its socket just after its first word, and closes it just before its last one.
          if (Date.now() > deadline) throw error;
          await pause(pollMs);
        }
      }
    },

    nextStatus: (vmId, after, signal) =>
      client(vmId).call('GET', `/status?after=${after}`, RunnerStatus, { signal, timeoutMs: 40_000 }),

    openDesktop: (vmId) => upgradeToDesktop(file(vmId, 'socket')),

    async stop(vmId, graceMs) {
      const last = await heardOf(vmId);
      if (last && (await isRunning(last.runner))) {
        await client(vmId)
          .call('POST', '/stop', null, { body: { graceMs } })
          .catch((error: unknown) => killWhenDeaf(error, last));
        await waitForEnd(last, graceMs + 15_000);
      }
      // The VMM dies with its runner; this is for a runner that was itself killed before it could know.
      if (last?.vmm) await killExactly(last.vmm);
      await dropClient(vmId);
      await forgetSecrets(vmId);
    },

    async remove(vmId) {
      await dropClient(vmId);
      await forgetSecrets(vmId);
      const entries = await readdir(folder(vmId)).catch(() => []);
      await Promise.all(
        entries
          .filter((name) => !keptFiles.includes(name))
          .map((name) => rm(join(folder(vmId), name), { recursive: true, force: true })),
      );
    },

    async folders() {
      const ids = await readdir(root).catch(() => []);
      const held = await Promise.all(
        ids.map(async (id) =>
          (await readdir(join(root, id)).catch(() => [])).some((name) => !keptFiles.includes(name)),
        ),
      );
      return ids.filter((_, index) => held[index]);
    },

    async close() {
      await Promise.all([...clients.keys()].map(dropClient));
    },
  };
}

/** The runner process of a VM folder, by its command line, which no other process has. */
async function findRunner(folder: string): Promise<ProcessIdentity | null> {
  const wanted = `${[runnerMain, folder].join('\0')}\0`;
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    // A process may end while it is looked at.
    const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (commandLine.endsWith(wanted)) return identifyProcess(Number(pid));
  }
  return null;
}

/** null once `ask` succeeds; a reason when the time is up. */
async function waitUntilAnswering(ask: () => Promise<unknown>, timeoutMs: number): Promise<string | null> {
  const deadline = Date.now() + timeoutMs;
  while (Date.now() < deadline) {
    const answered = await ask().then(
      () => true,
      () => false,
    );
    if (answered) return null;
    await pause(pollMs);
  }
  return `did not answer within ${timeoutMs} ms`;
}

async function killWhenDeaf(error: unknown, last: RunnerStatus): Promise<void> {
  if (!(error instanceof AppError)) throw error;
  await killExactly(last.runner);
}

async function waitForEnd(last: RunnerStatus, timeoutMs: number): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (await isRunning(last.runner)) {
    if (Date.now() > deadline) await killExactly(last.runner);
    await pause(pollMs);
  }
}

function upgradeToDesktop(socketPath: string): Promise<BulkSocket> {
  return new Promise((resolve, reject) => {
    const socket = connectBulk({ path: socketPath });
    const request = httpRequest({
      createConnection: () => socket,
      path: '/desktop',
      headers: { connection: 'Upgrade', upgrade: 'rfb' },
      timeout: 15_000,
    });
    request.once('upgrade', (_answer, _socket, head) => {
      socket.setTimeout(0);
      if (head.length > 0) socket.unshift(head);
      resolve(socket);
    });
    request.once('response', (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      answer.once('end', () => reject(desktopRefusal(text, answer.statusCode ?? 0)));
    });
    request.once('timeout', () =>
      request.destroy(new AppError('desktop_not_ready', 'The desktop did not answer within 15 s.')),
    );
    request.once('error', (error) =>
      reject(
        error instanceof AppError
          ? error
          : new AppError('vm_not_running', 'The runner of the VM cannot be reached.', { cause: error }),
      ),
    );
    request.end();
  });
}

function desktopRefusal(text: string, status: number): AppError {
  try {
    return AppError.fromBody(ErrorResponse.parse(JSON.parse(text)).error);
  } catch (error) {
    return new AppError('desktop_not_ready', `The runner answered ${status} to the request for the desktop.`, {
      cause: error,
    });
  }
}
