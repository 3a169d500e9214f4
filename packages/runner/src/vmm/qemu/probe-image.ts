/**
 * Two firmware images of 64 KiB, made here byte by byte. The processor starts 16 bytes before the end of such an image, in
 * real mode, with its code segment at the image's beginning.
 */

const size = 64 * 1024;
const resetVector = size - 16;
/** I/O port of QEMU's debug console. */
export const consolePort = 0xe9;

function image(code: readonly number[]): Buffer {
  const bytes = Buffer.alloc(size, 0xf4);
  Buffer.from(code).copy(bytes, 0);
  // jmp near to offset 0; the displacement counts from behind the three bytes of the jump.
  bytes[resetVector] = 0xe9;
  bytes.writeUInt16LE(0x10000 - (resetVector + 3), resetVector + 1);
  return bytes;
}

function imm32(value: number): number[] {
  return [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, (value >>> 24) & 0xff];
}

/** Writes a byte to the debug console, and another one each time it has counted a million down to zero, for ever. */
export function countingImage(): Buffer {
  const body = [
    ...[0xe6, consolePort], // out consolePort, al
    ...[0x66, 0xb9, ...imm32(1_000_000)], // mov ecx, 1000000
    ...[0x66, 0x49, 0x75, 0xfc], // dec ecx; jnz back to dec
  ];
  return repeated(body);
}

/** Writes the low 32 bits of the time stamp counter to the debug console, least byte first, again and again. */
export function tscImage(): Buffer {
  const writeByte = [0xe6, consolePort, 0x66, 0xc1, 0xe8, 0x08]; // out consolePort, al; shr eax, 8
  const body = [
    ...[0x0f, 0x31], // rdtsc
    ...[...writeByte, ...writeByte, ...writeByte, ...writeByte],
    ...[0x66, 0xb9, ...imm32(500_000)], // mov ecx, 500000
    ...[0x66, 0x49, 0x75, 0xfc], // dec ecx; jnz back to dec
  ];
  return repeated(body);
}

/** An image of `body` and a jump back to its beginning. */
function repeated(body: readonly number[]): Buffer {
  return image([...body, 0xe9, ...imm32(-(body.length + 3)).slice(0, 2)]);
}
