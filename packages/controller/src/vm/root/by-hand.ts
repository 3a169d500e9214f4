/** Another root because somebody asks for it, and what a VM would get by it. */
import type { VersionChange, VmUpdateKind } from '@airlock/contract/api';
import type { ImageManifest } from '@airlock/contract/image';
import type { Noted } from '../../audit/audit.js';
import { clisOf } from '../../image/image.js';
import { requireMade } from '../by-hand.js';
import type { VmContext } from '../context.js';
import { requireHomeDisk } from '../power.js';
import * as rows from '../rows.js';
import { isFinal } from '../transitions.js';
import type { Behind, VmRow } from '../vm.js';
import { hasImage } from './replace.js';
import { askForUpdate, beforeSwap, endUpdate, liveClis, patchUpdate } from './rows.js';

/** See `Vms.update`. */
export async function update(
  ctx: VmContext,
  vmId: string,
  { kind, now }: { kind: VmUpdateKind; now: boolean },
): Promise<VmRow> {
  const row = await requireMade(ctx, vmId);
  const { manifest } = await ctx.images.current();
  requireHomeDisk(manifest);
  // One that failed is over: there is nothing newer than what the VM has.
  if (kind === 'update' && hasImage(row, manifest.id)) return (await endUpdate(ctx, vmId, ['failed'])) ?? row;
  ctx.log.info({ vmId, kind, now, imageId: manifest.id }, 'another root is wanted for a CLI VM');
  ctx.halted = false;
  const asked = await askForUpdate(ctx, vmId, { kind, now, run: false });
  if (asked) return asked;
  // One is on its way. It is not held up any more, and a reset does not become an update.
  const patch = { ...(now && { now }), ...(kind === 'reset' && { kind }) };
  return (await patchUpdate(ctx, vmId, patch, beforeSwap)) ?? (await rows.get(ctx, vmId)) ?? row;
}

/** See `Vms.updateAll`. */
export async function updateAll(ctx: VmContext, noted: Noted<VmRow>): Promise<VmRow[]> {
  const { manifest } = await ctx.images.current();
  requireHomeDisk(manifest);
  const asked: VmRow[] = [];
  for (const row of await liveClis(ctx)) {
    if (row.state === 'creating' || hasImage(row, manifest.id)) continue;
    await noted(row);
    asked.push(await update(ctx, row.id, { kind: 'update', now: false }));
  }
  return asked;
}

/** See `Vms.behind`. */
export async function behind({ images }: VmContext, all: readonly VmRow[]): Promise<ReadonlyMap<string, Behind>> {
  const found = new Map<string, Behind>();
  const imageId = await images.currentId();
  if (imageId === null) return found;
  const known = new Map<string, Behind>();
  for (const row of all.filter((one) => mayBeBehind(one) && !hasImage(one, imageId))) {
    const one = known.get(row.imageId) ?? { imageId, changes: await changesBetweenIds(images, row.imageId, imageId) };
    known.set(row.imageId, one);
    found.set(row.id, one);
  }
  return found;
}

const mayBeBehind = ({ kind, state }: VmRow): boolean =>
  kind === 'cli' && !isFinal(state) && state !== 'creating' && state !== 'destroying';

/** Nothing where the newer image cannot be read; of an older one that is gone, what is new. */
async function changesBetweenIds(images: VmContext['images'], from: string, to: string): Promise<VersionChange[]> {
  const read = (id: string): Promise<ImageManifest | null> => images.manifest(id).catch(() => null);
  const [older, newer] = await Promise.all([read(from), read(to)]);
  return newer ? changesBetween(older, newer) : [];
}

/** By name, for a person: the CLIs first, then the system. */
export function changesBetween(from: ImageManifest | null, to: ImageManifest): VersionChange[] {
  const [older, newer] = [from ? versionsOf(from) : {}, versionsOf(to)];
  return [...new Set([...Object.keys(newer), ...Object.keys(older)])]
    .map((name) => ({ name, from: older[name] ?? null, to: newer[name] ?? null }))
    .filter(({ from, to }) => from !== to);
}

function versionsOf(manifest: ImageManifest): Record<string, string> {
  const { debian, browser, versions } = manifest;
  const { kernel, node, chromium } = versions;
  const clis = Object.fromEntries(clisOf(manifest).map(({ name, version }) => [name, version]));
  const browserName = browser === 'chromium' ? 'Chromium' : 'Google Chrome';
  return { ...clis, Debian: debian.version, Linux: kernel, Node: node, [browserName]: chromium };
}
