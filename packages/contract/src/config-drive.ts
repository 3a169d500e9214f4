/**
 * The config drive: a 1 MiB raw image with two slots. A writer fills the slot that is not newest, so a reader that comes
 * in the middle still finds the older generation whole.
 *
 * Slot (512 KiB): header in the first 512 bytes — magic "AIRLOCK1", generation (u64), payload length (u32), SHA-256 of
 * generation, length and payload — and the payload, canonical JSON of a `GuestConfig`, from byte 4096. Numbers are big endian.
 */
import { createHash } from 'node:crypto';
import { AppError } from './errors.js';
import { GuestConfig } from './guest.js';

const magic = Buffer.from('AIRLOCK1', 'latin1');
export const slotSize = 512 * 1024;
export const driveSize = 2 * slotSize;
const payloadOffset = 4096;
/** Largest payload in bytes. */
export const maxPayload = slotSize - payloadOffset;

export interface DriveContent {
  generation: number;
  config: GuestConfig;
}

/** JSON with sorted keys and no white space: the same value always gives the same bytes. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    inner !== null && typeof inner === 'object' && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

function digest(header: Buffer, payload: Buffer): Buffer {
  return createHash('sha256').update(header.subarray(8, 20)).update(payload).digest();
}

/**
 * The bytes of one slot and where they go: even generations in slot 0, odd ones in slot 1.
 * @throws AppError config_invalid when the configuration is larger than a slot.
 */
export function encodeSlot(content: DriveContent): { offset: number; bytes: Buffer } {
  const payload = Buffer.from(canonicalJson(content.config), 'utf8');
  if (payload.length > maxPayload) {
    throw new AppError(
      'config_invalid',
      `The guest configuration has ${payload.length} bytes; ${maxPayload} fit on the config drive.`,
      {
        hint: 'AIRLOCK_EXTRA_CA is the only large part: name a file with fewer certificates.',
      },
    );
  }
  const bytes = Buffer.alloc(payloadOffset + payload.length);
  magic.copy(bytes, 0);
  bytes.writeBigUInt64BE(BigInt(content.generation), 8);
  bytes.writeUInt32BE(payload.length, 16);
  payload.copy(bytes, payloadOffset);
  digest(bytes, payload).copy(bytes, 20);
  return { offset: (content.generation % 2) * slotSize, bytes };
}

function decodeSlot(slot: Buffer): DriveContent | string {
  if (!slot.subarray(0, 8).equals(magic)) return 'no magic';
  const length = slot.readUInt32BE(16);
  if (length > maxPayload || payloadOffset + length > slot.length) return `impossible length ${length}`;
  const payload = slot.subarray(payloadOffset, payloadOffset + length);
  if (!digest(slot, payload).equals(slot.subarray(20, 52))) return 'checksum does not match';
  const parsed = GuestConfig.safeParse(JSON.parse(payload.toString('utf8')));
  if (!parsed.success)
    return `not a guest configuration: ${parsed.error.issues.map((i) => i.path.join('.')).join(', ')}`;
  return { generation: Number(slot.readBigUInt64BE(8)), config: parsed.data };
}

/**
 * The newest valid content of a drive image.
 * @throws AppError config_drive_invalid when neither slot is valid; the message says why for each, without content.
 */
export function decodeDrive(image: Buffer): DriveContent {
  const slots = [image.subarray(0, slotSize), image.subarray(slotSize, driveSize)].map(decodeSlot);
  const valid = slots.filter((slot): slot is DriveContent => typeof slot !== 'string');
  const newest = valid.sort((a, b) => b.generation - a.generation)[0];
  if (newest) return newest;
  throw new AppError(
    'config_drive_invalid',
    `The config drive has no valid slot (A: ${String(slots[0])}; B: ${String(slots[1])}).`,
  );
}
