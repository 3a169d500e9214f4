/** What the verbs of the engine of this host work on. */
import type { HomePaths } from '@airlock/contract/home';
import { createJsonClient, type JsonClient } from '@airlock/contract/http-client';
import { answerBytes } from '@airlock/contract/received';
import type { SecretFolders, SecretSettings } from './secret-folder.js';

/** Absolute paths of the files of one image. */
export interface ImageFiles {
  kernel: string;
  initrd: string;
  rootfs: string;
}

export interface LocalEngineDeps {
  settings: SecretSettings;
  /** Finds an image by its id. @throws AppError image_missing, image_corrupt */
  imageFiles(imageId: string): Promise<ImageFiles>;
  /** Of the privileged helper, which makes the networks of VMs; null: VMs have that of their VMM. */
  helperSocket: string | null;
  /** As measured on this host. */
  tscKhz: number | null;
}

export interface EngineContext extends LocalEngineDeps {
  paths: HomePaths;
  secretFolders: SecretFolders;
  /** By VM: the client of its runner. */
  clients: Map<string, JsonClient>;
}

export function clientOf({ clients, paths }: EngineContext, vmId: string): JsonClient {
  const known = clients.get(vmId);
  if (known) return known;
  const made = createJsonClient({
    baseUrl: 'http://runner',
    socketPath: paths.vmFile(vmId, 'socket'),
    unreachable: 'runner_failed',
    // What is below it is answered by the guest.
    unanswered: (path) => (path.startsWith('/guest/') ? 'guest_unreachable' : 'runner_failed'),
    name: `the runner of ${vmId}`,
    maxAnswer: answerBytes.plain,
    maxLine: answerBytes.line,
  });
  clients.set(vmId, made);
  return made;
}

export async function dropClient({ clients }: EngineContext, vmId: string): Promise<void> {
  const known = clients.get(vmId);
  clients.delete(vmId);
  await known?.close();
}
