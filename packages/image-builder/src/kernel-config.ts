/** What of the kernel's configuration VMs depend on. Pure. */

/** Option of the kernel → what needs it. */
export const neededOptions: Readonly<Record<string, string>> = {
  CONFIG_VIRTIO_MMIO: 'every device of a microvm',
  CONFIG_VIRTIO_BLK: 'root disk, config drive',
  CONFIG_VIRTIO_NET: 'network',
  CONFIG_HW_RANDOM_VIRTIO: 'entropy from the host',
  CONFIG_OVERLAY_FS: 'writing above the read-only root of a browser VM',
  CONFIG_EXT4_FS: 'the root file system',
  CONFIG_FS_ENCRYPTION: 'the encrypted home of a CLI VM',
  CONFIG_ACPI: 'how the devices of a microvm are found',
  CONFIG_PVH: 'booting the ELF kernel without firmware',
  CONFIG_VMGENID: 'noticing that a VM was restored from a snapshot',
  CONFIG_TMPFS: 'what a browser VM writes',
  CONFIG_SERIAL_8250_CONSOLE: 'the console log',
  CONFIG_SECCOMP_FILTER: 'the sandbox of the browser',
  CONFIG_USER_NS: 'the sandbox of the browser',
};

/** State of each option of `neededOptions`, given a kernel's `.config`. */
export function readKernelConfig(config: string): Record<string, 'y' | 'm' | 'n'> {
  const set = new Map([...config.matchAll(/^(CONFIG_[A-Z0-9_]+)=([ym])$/gm)].map((match) => [match[1], match[2]]));
  return Object.fromEntries(
    Object.keys(neededOptions).map((option) => [option, (set.get(option) as 'y' | 'm' | undefined) ?? 'n']),
  );
}
