/** Whether this controller and the agent of an image understand each other; contract/guest.ts says which do. */
import { AppError } from '@airlock/contract/errors';
import { desktopProtocol, newestGuestProtocol, oldestGuestProtocol } from '@airlock/contract/guest';
import type { ImageManifest } from '@airlock/contract/image';
import type { VmContext } from './context.js';
import type { VmRow } from './vm.js';

type Aged = Pick<ImageManifest, 'id' | 'guestProtocol'>;

/**
 * `vmId`: of the CLI VM that has the image, which can get another one; null for the current image.
 * @throws AppError image_too_old, image_too_new
 */
export function requireUnderstood({ id, guestProtocol }: Aged, vmId: string | null): void {
  const isOld = guestProtocol < oldestGuestProtocol;
  if (!isOld && guestProtocol <= newestGuestProtocol) return;
  const whose = vmId === null ? `the golden image ${id}` : `VM ${vmId}, which is of the golden image ${id},`;
  throw new AppError(
    isOld ? 'image_too_old' : 'image_too_new',
    `The agent of ${whose} speaks protocol ${guestProtocol}; this version of Airlock understands ${oldestGuestProtocol} to ${newestGuestProtocol}.`,
    { hint: isOld ? hintOfOld(vmId) : hintOfNew(vmId) },
  );
}

/** Nothing is known of the agent where the image is gone: a start finds that out by itself. @throws AppError as `requireUnderstood` */
export async function requireUnderstoodVm({ images }: VmContext, { id, kind, imageId }: VmRow): Promise<void> {
  const manifest = await images.manifest(imageId).catch(() => null);
  if (manifest !== null) requireUnderstood(manifest, kind === 'cli' ? id : null);
}

/** See `Vms.protocolOf`. */
export async function protocolOf(
  { images }: Pick<VmContext, 'images'>,
  { imageId }: Pick<VmRow, 'imageId'>,
): Promise<number> {
  return (await images.manifest(imageId).catch(() => null))?.guestProtocol ?? oldestGuestProtocol;
}

/** A browser VM lives with the image that it was made from. @throws AppError image_too_old */
export async function requireDesktop({ imageId }: VmRow, images: Pick<VmContext['images'], 'manifest'>): Promise<void> {
  const { guestProtocol } = (await images.manifest(imageId).catch(() => null)) ?? { guestProtocol: desktopProtocol };
  if (guestProtocol >= desktopProtocol) return;
  throw new AppError(
    'image_too_old',
    `This desktop can be seen and typed into, and no more: the agent of its golden image ${imageId} speaks protocol ${guestProtocol}, and paste, copy, sizes, the terminal and a sign-in from your own browser need ${desktopProtocol}.`,
    { hint: `${hintOfOld(null)} Sign-ins that are started after that have it.` },
  );
}

function hintOfOld(vmId: string | null): string {
  return vmId === null
    ? 'Build a newer one: `npx airlock image build` (`npm run up` does it by itself).'
    : `Give it a root of the current image; its home stays: \`npx airlock vm update ${vmId}\`.`;
}

function hintOfNew(vmId: string | null): string {
  const older = 'Start the newer version of Airlock, or make an older image current: `npx airlock image rollback`.';
  return vmId === null
    ? older
    : `${older} \`npx airlock vm update ${vmId}\` gives the VM a root of that; its home stays.`;
}
