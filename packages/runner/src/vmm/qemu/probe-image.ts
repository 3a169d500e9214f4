/**
 * Two firmware images of 64 KiB, made here byte by byte. The processor starts 16 bytes before the end of such an image, in
 * real mode, with its code segment at the image's beginning.
 */

const size = 64 * 1024;
const resetVector = size - 16;
/** I/O port of the `isa-debug-exit` device that the counting image writes to. */
export const exitPort = 0xf4;
/** QEMU's exit code when the counting image is done: (value written << 1) | 1. */
export const countedExitCode = (0x10 << 1) | 1;
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

/** Counts one million down to zero, then makes QEMU exit with `countedExitCode`. */
export function countingImage(): Buffer {
  return image([
    ...[0x66, 0xb9, ...imm32(1_000_000)], // mov ecx, 1000000
    ...[0x66, 0x49], // dec ecx
    ...[0x75, 0xfc], // jnz back to dec
    ...[0xb0, 0x10, 0xe6, exitPort], // mov al, 0x10; out exitPort, al
    ...[0xf4, 0xeb, 0xfd], // hlt; jmp back to hlt
  ]);
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
  return image([...body, 0xe9, ...imm32(-(body.length + 3)).slice(0, 2)]); // jmp to the beginning
}
