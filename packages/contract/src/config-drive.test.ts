import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { canonicalJson, decodeDrive, driveSize, encodeSlot, slotSize } from './config-drive.js';
import { newId } from './ids.js';
import type { GuestConfig } from './guest.js';

function config(hostname: string, extraCaPem: string | null = null): GuestConfig {
  return {
    version: 1,
    vmId: newId('vm'),
    kind: 'browser',
    sessionId: null,
    hostname,
    timezone: 'Etc/UTC',
    epochMs: 1_795_000_000_000,
    entropy: randomBytes(64).toString('base64'),
    agentToken: randomBytes(32).toString('base64url'),
    vncPassword: 'abcdefgh',
    homeKey: null,
    extraCaPem,
  };
}

function drive(...contents: { generation: number; config: GuestConfig }[]): Buffer {
  const image = Buffer.alloc(driveSize);
  for (const content of contents) {
    const { offset, bytes } = encodeSlot(content);
    bytes.copy(image, offset);
  }
  return image;
}

describe('config drive', () => {
  it('gives back what was written', () => {
    const content = { generation: 1, config: config('one') };
    expect(decodeDrive(drive(content))).toEqual(content);
  });

  it('prefers the newer slot, whichever it is', () => {
    const image = drive({ generation: 6, config: config('six') }, { generation: 7, config: config('seven') });
    expect(decodeDrive(image).config.hostname).toBe('seven');
  });

  it('falls back to the older slot while the newer is half written', () => {
    const image = drive({ generation: 2, config: config('two') }, { generation: 3, config: config('three') });
    image.fill(0, slotSize + 4100, slotSize + 4120);
    expect(decodeDrive(image).config.hostname).toBe('two');
  });

  it.each([
    ['empty', Buffer.alloc(driveSize)],
    ['noise', randomBytes(driveSize)],
    ['too short', Buffer.alloc(100)],
  ])('refuses a drive that is %s', (_name, image) => {
    expect(() => decodeDrive(image)).toThrow(/no valid slot/);
  });

  it('refuses a configuration that does not fit', () => {
    expect(() => encodeSlot({ generation: 1, config: config('big', 'x'.repeat(600_000)) })).toThrow(
      /fit on the config drive/,
    );
  });

  it('writes the same bytes for the same value', () => {
    expect(canonicalJson({ b: 1, a: [{ d: 1, c: 2 }] })).toBe('{"a":[{"c":2,"d":1}],"b":1}');
  });
});
