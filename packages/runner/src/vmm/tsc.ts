/**
 * The rate of the time stamp counter that a hypervisor told the kernel, in kHz: in such a VM the "cpu MHz" of /proc/cpuinfo is
 * that of the counter. On bare metal it is the processor's present clock, which says nothing about the counter.
 */
export function tscFromCpuinfo(text: string): number | null {
  const flags = (/^flags\s*:\s*(.*)$/m.exec(text)?.[1] ?? '').split(' ');
  const mhz = /^cpu MHz\s*:\s*([\d.]+)$/m.exec(text)?.[1];
  const certain = ['hypervisor', 'constant_tsc', 'tsc_known_freq'].every((flag) => flags.includes(flag));
  return certain && mhz !== undefined ? Math.round(Number(mhz) * 1000) : null;
}
