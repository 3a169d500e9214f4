/**
 * A golden image is a folder `$AIRLOCK_HOME/images/<id>/` with manifest.json and the three artefacts that it names;
 * `$AIRLOCK_HOME/images/current` is a symbolic link to the folder that new VMs are made from.
 */
import { z } from 'zod';
import { ImageId } from './ids.js';

export const imageFiles = {
  manifest: 'manifest.json',
  kernel: 'vmlinux',
  initrd: 'initrd.img',
  rootfs: 'rootfs.ext4',
} as const;

const Artefact = z.strictObject({
  file: z.string().regex(/^[a-z0-9][a-z0-9.-]*$/),
  /** Apparent size in bytes. */
  size: z.int().positive(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
export type Artefact = z.infer<typeof Artefact>;

export const ImageManifest = z.strictObject({
  version: z.literal(1),
  id: ImageId,
  createdAt: z.iso.datetime(),
  /** SHA-256 over everything the build is made from (package lists, files, agent bundle, CLI versions): decides whether it is current. */
  inputsSha256: z.string().regex(/^[0-9a-f]{64}$/),
  debian: z.strictObject({ suite: z.string(), version: z.string() }),
  versions: z.strictObject({
    kernel: z.string(),
    node: z.string(),
    chromium: z.string(),
    codex: z.string(),
    claude: z.string(),
    gemini: z.string(),
    agent: z.string(),
  }),
  artefacts: z.strictObject({ kernel: Artefact, initrd: Artefact, rootfs: Artefact }),
  /** Bytes in use inside the rootfs. */
  rootfsUsedBytes: z.int().positive(),
  /** The chroot checks that the image passed, by name. */
  checks: z.array(z.string()).min(1),
  buildSeconds: z.number().positive(),
});
export type ImageManifest = z.infer<typeof ImageManifest>;
