/**
 * The engine of this host: one detached runner per VM, so that a restart of the controller drops no VM. A VM's folder is drawn
 * in contract/home.ts and contract/runner.ts. Leaves behind after `remove`: the VM's spec, last status and bounded logs.
 */
import { AppError } from '@airlock/contract/errors';
import { homePaths } from '@airlock/contract/home';
import { readHostCapacity } from '@airlock/contract/host-capacity';
import { ConfigureAnswer, RunnerStatus, type VmSettings } from '@airlock/contract/runner';
import { clientOf, dropClient, type EngineContext, type LocalEngineDeps } from './context.js';
import { createHome, createRoot, growHome, keepRoots } from './disk.js';
import type { Engine } from './engine.js';
import { dropReceived, readHome, receiveHome } from './home-content.js';
import { openDesktop } from './open-desktop.js';
import { lost, prune, remove } from './remove.js';
import { createSecretFolders } from './secret-folder.js';
import { start } from './start.js';
import { status } from './status.js';
import { stop } from './stop.js';

/** Milliseconds until a running VM must have taken settings: more than its runner gives the agent, which then says why not. */
const configureTimeoutMs = 75_000;
/** A runner answers `/status?after=` within 20 s; more than that, in ms. */
const nextStatusTimeoutMs = 40_000;

/** The engine of this host, below `settings.AIRLOCK_HOME`. */
export function createLocalEngine(deps: LocalEngineDeps): Engine {
  const paths = homePaths(deps.settings.AIRLOCK_HOME);
  const ctx: EngineContext = { ...deps, paths, secretFolders: createSecretFolders(deps.settings), clients: new Map() };
  return {
    capacity: () => readHostCapacity(deps.settings.AIRLOCK_HOME),
    createRoot: (vmId, root, options) => createRoot(ctx, { vmId, root }, options),
    keepRoots: (vmId, numbers) => keepRoots(ctx, vmId, numbers),
    createHome: (vmId, gib, signal) => createHome(ctx, vmId, gib, signal),
    growHome: (vmId, gib) => growHome(ctx, vmId, gib),
    readHome: (vmId) => readHome(ctx, vmId),
    receiveHome: (vmId, home, signal) => receiveHome(ctx, vmId, home, signal),
    dropReceived: (known) => dropReceived(ctx, known),
    start: (plan, secrets) => start(ctx, plan, secrets),
    configure: (vmId, vmSettings, signal) => configure(ctx, vmId, vmSettings, signal),
    assign: async (vmId, request, signal) =>
      void (await clientOf(ctx, vmId).call('POST', '/assign', RunnerStatus, {
        ...{ body: request, signal, timeoutMs: configureTimeoutMs },
      })),
    status: (vmId) => status(ctx, vmId),
    nextStatus: (vmId, after, signal) =>
      clientOf(ctx, vmId).call('GET', `/status?after=${after}`, RunnerStatus, {
        signal,
        timeoutMs: nextStatusTimeoutMs,
      }),
    client: (vmId) => clientOf(ctx, vmId),
    openDesktop: (vmId) => openDesktop(ctx.paths.vmFile(vmId, 'socket')),
    stop: (vmId, graceMs) => stop(ctx, vmId, graceMs),
    remove: (vmId) => remove(ctx, vmId),
    lost: (known) => lost(ctx, known),
    prune: (known, before) => prune(ctx, known, before),
    close: async () => void (await Promise.all([...ctx.clients.keys()].map((vmId) => dropClient(ctx, vmId)))),
  };
}

async function configure(
  ctx: EngineContext,
  vmId: string,
  settings: VmSettings,
  signal: AbortSignal,
): Promise<boolean> {
  const options = { body: settings, signal, timeoutMs: configureTimeoutMs };
  try {
    return (await clientOf(ctx, vmId).call('POST', '/configure', ConfigureAnswer, options)).changed;
  } catch (error) {
    // Versions before did not know the call, or knew it with other members.
    const isOther = error instanceof AppError && (error.code === 'not_found' || error.code === 'invalid_request');
    if (!isOther) throw error;
    throw new AppError(
      'runner_failed',
      `The runner of ${vmId} comes from another version, which cannot put these settings into force (${error.message}).`,
      { hint: 'The VM takes them at its next start.', cause: error },
    );
  }
}
