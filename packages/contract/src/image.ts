/**
 * A golden image is a folder `$AIRLOCK_HOME/images/<id>/` with manifest.json and the three artefacts that it names;
 * `$AIRLOCK_HOME/images/current` is a symbolic link to the folder that new VMs are made from.
 */
import { z } from 'zod';
import { ImageId } from './ids.js';
import { currentId } from './provider/former-ids.js';

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

/** A coding CLI of the image, by its provider's id; `integrity` is what npm's registry says of its package. */
const ImageCli = z.strictObject({
  id: z.string(),
  package: z.string(),
  version: z.string(),
  integrity: z.string().regex(/^sha512-[A-Za-z0-9+/]+=*$/),
});

const common = {
  id: ImageId,
  createdAt: z.iso.datetime(),
  /** SHA-256 over everything the build is made from (package lists, files, agent bundle, CLI versions): decides whether it is current. */
  inputsSha256: z.string().regex(/^[0-9a-f]{64}$/),
  debian: z.strictObject({ suite: z.string(), version: z.string() }),
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
  /** The VMMs' drivers under which it boots and ends, by name; null: those that show its drives' serial numbers. */
  drivers: z.array(z.string().max(32)).max(16).nullable().default(null),
  /** Null when the image never went through the boot gate: such an image cannot become current. */
  gate: GateReport.nullable().default(null),
};
const systemVersions = { kernel: z.string(), node: z.string(), chromium: z.string(), agent: z.string() };

/** What a newer builder says besides is dropped: its image can be listed, and told from one that is understood. */
const Manifest = z.object({
  version: z.literal(2),
  ...common,
  /** Of the system, and of each CLI by its provider's id. */
  versions: z.object(systemVersions).catchall(z.string()),
  /** What the image's agent understands: contract/guest.ts. */
  guestProtocol: z.int().positive(),
});

/** As images were described before their CLIs were called by the providers' ids. */
const FormerManifest = z.strictObject({
  version: z.literal(1),
  ...common,
  versions: z.strictObject({ ...systemVersions, codex: z.string(), claude: z.string(), gemini: z.string() }),
});

function fromFormer({ versions, clis, ...rest }: z.infer<typeof FormerManifest>): z.infer<typeof Manifest> {
  return {
    ...rest,
    version: 2,
    versions: Object.fromEntries(
      Object.entries(versions).map(([name, version]) => [currentId(name), version]),
    ) as z.infer<typeof Manifest>['versions'],
    clis: clis.map((cli) => ({ ...cli, id: currentId(cli.id) })),
    guestProtocol: 1,
  };
}

/** Of either version, as version 2. */
export const ImageManifest = z.union([Manifest, FormerManifest.transform(fromFormer)]);
export type ImageManifest = z.infer<typeof ImageManifest>;
