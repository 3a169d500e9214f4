#!/usr/bin/env node
/** The controller as a program. Standard output: log lines as JSON, and one line `Airlock is ready: <login URL>`. */
import type { SystemStatus } from '@airlock/contract/api';
import { bootLimits, driverFor, type HostChoice } from '@airlock/contract/capacity';
import { readCanaryReport } from '@airlock/contract/canary-file';
import { giveConnectsTime } from '@airlock/contract/connect-time';
import { AppError, onFault } from '@airlock/contract/errors';
import { readExtraCa } from '@airlock/contract/extra-ca';
import { makePrivateFolder } from '@airlock/contract/file';
import { homePaths } from '@airlock/contract/home';
import { newId } from '@airlock/contract/ids';
import type { ImageManifest } from '@airlock/contract/image';
import { bootBoundOf } from '@airlock/contract/runner';
import { chooseNetwork } from '@airlock/contract/network-choice';
import { readSettings, type Settings } from '@airlock/contract/settings';
import { createCustodian } from './credential/create.js';
import { createCredentialGuard } from './credential/guard.js';
import { createLocalEngine } from './engine/local.js';
import { clisOf, createImages, type Images } from './image/image.js';
import { createLog, type Log } from './lib/log.js';
import { createVms } from './vm/create.js';
import { probeHost } from './engine/host.js';
import { startController, type Foundation, type Parts } from './main-start.js';
import { createPool } from './pool/pool.js';
import { createPrompts } from './prompt/create.js';
import { createSessions } from './session/create.js';
import { isOpening, usersSigningIn } from './session/in-use.js';
import { createVault } from './vault/create.js';
import { loadVaultKeys, storeVaultKeys } from './vault/key.js';
import { createKeyRing } from './vault/ring.js';

/** Wires the real parts. */
async function makeParts(settings: Settings, log: Log, { store, users, audit }: Foundation): Promise<Parts> {
  const home = settings.AIRLOCK_HOME;
  // Where the probe of this host keeps its verdict.
  await makePrivateFolder(homePaths(home).cache);
  const { network, networkReason, helperSocket, vmUsers } = await chooseNetwork(
    settings.AIRLOCK_NETWORK,
    settings.AIRLOCK_HELPER_SOCKET,
  );
  log.info({ network, reason: networkReason }, 'network of VMs');
  const host = await probeHost(settings, { network, networkReason });
  const keyFile = settings.AIRLOCK_VAULT_KEY_FILE;
  const ring = createKeyRing(await loadVaultKeys(home, keyFile), (keys) => storeVaultKeys(home, keys, keyFile));
  const vault = createVault({ store, ring, users, log });
  const images = createImages(home);
  const engine = createLocalEngine({ settings, imageFiles: images.get, tscKhz: host.tscKhz, helperSocket });
  const guard = createCredentialGuard({ vault, log });
  const signingIn = (since: Date): Promise<ReadonlySet<string>> => usersSigningIn(store.db, since);
  const vms = createVms(
    {
      store,
      engine,
      images,
      homeKeys: vault,
      proxyPort: users.proxyPort,
      signingIn,
      host: { ...host, network, vmUsers },
      settings,
      log,
    },
    guard,
  );
  const custodian = createCustodian({ vault, vms, guard, settings, log });
  const bootBoundMs = bootBoundOf(bootLimits(host, settings.AIRLOCK_BOOT_TIMEOUT_S));
  const pool = createPool({ vms, isBusy: () => isOpening(store.db), settings, log });
  const sessions = createSessions({ store, audit, vms, pool, vault, custodian, settings, bootBoundMs, log });
  const prompts = createPrompts({ vms, custodian, settings, log });
  // An image that nobody has compared with its manifest yet is read now, not when the first person waits for a VM.
  describeImage(images, host).then(
    ({ driver, driverReason }) => log.info({ driver, reason: driverReason }, 'VMM of VMs'),
    (error: unknown) => log.warn({ err: error }, 'the golden image is not usable'),
  );
  return {
    vms: { ...vms, close: async () => void (await Promise.all([vms.close(), images.close()])) },
    pool,
    sessions,
    prompts,
    vault,
    custodian,
    describe: async () => ({
      accel: host.accel,
      accelReason: host.accelReason,
      network,
      networkReason,
      ...(await describeImage(images, host)),
      canary: await readCanaryReport(home),
    }),
  };
}

/** The current image, if there is one, the CLIs in it, and what its VMs are started with. */
async function describeImage(
  images: Images,
  host: HostChoice,
): Promise<Pick<SystemStatus, 'imageId' | 'clis' | 'driver' | 'driverReason'>> {
  try {
    const { manifest } = await images.current();
    return { imageId: manifest.id, clis: clisOf(manifest), ...describeDriver(host, manifest) };
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'image_missing') throw error;
    return { imageId: null, clis: [], driver: null, driverReason: error.message };
  }
}

function describeDriver(host: HostChoice, manifest: ImageManifest): Pick<SystemStatus, 'driver' | 'driverReason'> {
  try {
    return driverFor(host, manifest, 'browser');
  } catch (error) {
    return { driver: null, driverReason: AppError.inItsWords(error).message };
  }
}

/** Says what went wrong to the person at the terminal, and ends the process. */
function fail(error: unknown): never {
  const { code, message, hint } = AppError.inItsWords(error);
  console.error(`${message}${hint === '' ? '' : `\n${hint}`}`);
  if (code === 'internal' && error instanceof Error) console.error(error.stack);
  process.exit(1);
}

async function main(): Promise<void> {
  giveConnectsTime();
  const settings = readSettings();
  const log = createLog(settings);
  // What no VM could take is told now, and not by the first sign-in; VMs that run are looked after in any case.
  if (settings.AIRLOCK_EXTRA_CA !== undefined)
    await readExtraCa(settings.AIRLOCK_EXTRA_CA).catch((error: unknown) =>
      log.error({ err: error }, 'no VM can start'),
    );
  onFault((fault, error) => log.error({ err: error, fault }, 'an unexpected fault'));
  const onFatal = (error: unknown): never => {
    log.fatal({ err: error }, 'the controller cannot go on');
    process.exit(1);
  };
  // Nobody waits for this promise, so that nothing else went on from what failed. A throw that nobody catches has broken off something.
  process.on('unhandledRejection', (error) =>
    log.error({ err: error, fault: newId('flt') }, 'a promise failed that nobody waits for; the controller goes on'),
  );
  process.on('uncaughtException', onFatal);
  // Until it is ready, and when it is asked twice, it ends at once: what a killed controller leaves is put right at the start.
  let endAtOnce = true;
  const signalled = new Promise<NodeJS.Signals>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => {
        if (endAtOnce) process.exit(1);
        endAtOnce = true;
        resolve(signal);
      });
    }
  });
  const controller = await startController({
    settings,
    log,
    makeParts: (foundation) => makeParts(settings, log, foundation),
    onFatal,
  });
  endAtOnce = false;
  console.log(`Airlock is ready: ${controller.loginUrl}`);
  const ok = await controller.stop(await signalled);
  process.exit(ok ? 0 : 1);
}

main().catch(fail);
