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
  /** The bill of materials, in SPDX 2.3 JSON. */
  sbom: 'sbom.spdx.json',
  /** Which files were found to be what the manifest says: a `Seal`. */
  seal: 'seal.json',
} as const;

const Artefact = z.strictObject({
  file: z.string().regex(/^[a-z0-9][a-z0-9.-]*$/),
  /** Apparent size in bytes. */
  size: z.int().positive(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
export type Artefact = z.infer<typeof Artefact>;

/** What the boot gate saw: the image started in a real VM. */
export const GateReport = z.strictObject({
  passed: z.boolean(),
  /** Milliseconds, counts and the like, by name. */
  figures: z.record(z.string(), z.number()),
  steps: z.array(z.strictObject({ name: z.string(), ok: z.boolean(), ms: z.number(), detail: z.string() })),
});
export type GateReport = z.infer<typeof GateReport>;

/** A coding CLI of the image; `integrity` is what npm's registry says of its package. */
const ImageCli = z.strictObject({
  id: z.string(),
  package: z.string(),
  version: z.string(),
  integrity: z.string().regex(/^sha512-[A-Za-z0-9+/]+=*$/),
});

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
  // Images made before these were written lack them.
  /** Every package of the image with version and licence. */
  sbom: Artefact.nullable().default(null),
  clis: z.array(ImageCli).default([]),
  /** Which browser `versions.chromium` is the version of. */
  browser: z.enum(['chromium', 'google-chrome']).default('chromium'),
  /** What the kernel can do that VMs need, from its configuration: `y` built in, `m` module of the initrd, `n` missing. */
  kernelConfig: z.record(z.string(), z.enum(['y', 'm', 'n'])).default({}),
  /** Null when the image never went through the boot gate: such an image cannot become current. */
  gate: GateReport.nullable().default(null),
});
export type ImageManifest = z.infer<typeof ImageManifest>;
