/**
 * The layout of AIRLOCK_HOME. Every program takes paths below it from here; nobody joins these names himself.
 *
 *   $AIRLOCK_HOME/             0700
 *     controller.lock          held by the one controller of this home (flock); the file stays
 *     controller.json          `ControllerFile`: where it listens; gone when it has stopped in order
 *     controller.log           what it said, as `airlock up` keeps it; controller.log.1 is the part before
 *     token                    the admin's API token
 *     vault.key                the keys that seal credentials
 *     canary.json              `CanaryReport`: what the last `npm run canary` found out about the newest CLIs
 *     db/                      the embedded database, its lock and its socket: store/embedded knows the inside
 *     cache/
 *       host-probe.json        `HostProbe`: holds until the next boot
 *       gate-<driver>.json     `DriverGate`: whether this host has booted the image with it
 *       apt/                   Debian packages of the last image build: image-builder/deb-cache knows the inside
 *       tests/                 what the project's tests fetch and make once: tests/support knows the inside
 *     images/
 *       <image id>/            a golden image; the names of its files are contract/image's `imageFiles`
 *       current                link to the image that new VMs are made from
 *       history.json           which images were current, in order
 *       pins.json              CLI versions that were asked for, when they are not the project's
 *       .build.lock            names the process that builds; .build-<name>/ is where it works
 *     vm/
 *       <vm id>/               one VM; the names of its files are contract/runner's `runnerFiles`, and for its roots `rootFile`
 *     saved/
 *       <saved id>/            a VM that was saved, memory and all; the names of its files are `savedFiles`
 *     secret/                  config drives, only where AIRLOCK_SECRETS_ON_DISK=yes and there is no memory for them
 */
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { AppError } from './errors.js';
import { nullIfAbsent } from './file.js';
import { runnerFiles } from './runner.js';

/** The home when AIRLOCK_HOME is not set. */
export const defaultHome = (): string => join(homedir(), '.airlock');

export interface ImagesPaths {
  folder: string;
  /** Link to the current image. */
  current: string;
  history: string;
  pins: string;
  buildLock: string;
  /** Folder of the image `id`. */
  image(id: string): string;
  /** Where the build called `name` works. */
  build(name: string): string;
}

export interface HomePaths {
  controllerLock: string;
  controllerFile: string;
  controllerLog: string;
  token: string;
  vaultKey: string;
  canary: string;
  database: string;
  cache: string;
  hostProbe: string;
  driverGate(driver: string): string;
  aptCache: string;
  testCache: string;
  images: ImagesPaths;
  /** Folder of all VM folders. */
  vms: string;
  /** Folder of all saved VMs. */
  saved: string;
  secrets: string;
  vm(vmId: string): string;
  vmFile(vmId: string, file: keyof typeof runnerFiles): string;
  savedFile(savedId: string, file: keyof typeof savedFiles): string;
}

/** Names of the files of a saved VM. */
export const savedFiles = { state: 'state', memory: 'memory' } as const;

/** Everything below the home `home`. */
export function homePaths(home: string): HomePaths {
  const cache = join(home, 'cache');
  const [vms, saved] = [join(home, 'vm'), join(home, 'saved')];
  return {
    controllerLock: join(home, 'controller.lock'),
    controllerFile: join(home, 'controller.json'),
    controllerLog: join(home, 'controller.log'),
    token: join(home, 'token'),
    vaultKey: join(home, 'vault.key'),
    canary: join(home, 'canary.json'),
    database: join(home, 'db'),
    cache,
    hostProbe: join(cache, 'host-probe.json'),
    driverGate: (driver) => join(cache, `gate-${driver}.json`),
    aptCache: join(cache, 'apt'),
    testCache: join(cache, 'tests'),
    images: imagesPaths(join(home, 'images')),
    vms,
    saved,
    secrets: join(home, 'secret'),
    vm: (vmId) => join(vms, vmId),
    vmFile: (vmId, file) => join(vms, vmId, runnerFiles[file]),
    savedFile: (savedId, file) => join(saved, savedId, savedFiles[file]),
  };
}

/** Everything below a folder of images. */
export function imagesPaths(folder: string): ImagesPaths {
  return {
    folder,
    current: join(folder, 'current'),
    history: join(folder, 'history.json'),
    pins: join(folder, 'pins.json'),
    buildLock: join(folder, '.build.lock'),
    image: (id) => join(folder, id),
    build: (name) => join(folder, `.build-${name}`),
  };
}

/** `controller.json`: where a running controller is found. */
export const ControllerFile = z.object({ url: z.url(), pid: z.int().positive() });
export type ControllerFile = z.infer<typeof ControllerFile>;

/**
 * What the controller of this home says about itself, or null when it never started or has stopped in order.
 * @throws AppError controller_unreachable when the file is not what a controller writes
 */
export async function readControllerFile(home: string): Promise<ControllerFile | null> {
  const path = homePaths(home).controllerFile;
  const text = await readFile(path, 'utf8').catch(nullIfAbsent);
  if (text === null) return null;
  try {
    return ControllerFile.parse(JSON.parse(text));
  } catch (error) {
    throw new AppError('controller_unreachable', `${path} is not what a controller writes.`, {
      hint: 'Stop the controller, delete that file, start again with `npm run up`.',
      cause: error,
    });
  }
}

/** The admin's API token, or null when no controller has ever been started for this home. */
export async function readToken(home: string): Promise<string | null> {
  const token = (await readFile(homePaths(home).token, 'utf8').catch(nullIfAbsent))?.trim();
  return token ? token : null;
}
