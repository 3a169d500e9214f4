/** What a virtual machine monitor must offer. One implementation a file; the same tests run over each. */
import type { ProcessIdentity } from '@airlock/contract/runner';

export interface VmmDriver {
  readonly name: 'qemu';
  readonly capabilities: {
    /** Several VMs can be started from one saved memory image. */
    snapshot: boolean;
    /** Runs without hardware virtualisation. */
    emulation: boolean;
  };
  /**
   * Powers a VM on. When it rejects, nothing is left behind.
   * @throws AppError vmm_missing, vmm_failed with the monitor's last words, or aborted.
   */
  start(options: VmmOptions, signal: AbortSignal): Promise<Vmm>;
}

export interface VmmOptions {
  vmId: string;
  kind: 'browser' | 'cli';
  accel: 'kvm' | 'tcg';
  cpus: number;
  memoryMib: number;
  /** Working directory of the monitor; its relative names (sockets) are below it. */
  folder: string;
  kernel: string;
  initrd: string;
  /** Root file system: shared and read-only for a browser VM, the VM's own disk for a CLI VM. */
  rootDisk: string;
  configDrive: string;
  /** The `-netdev` that the network made; its id is `net0`. */
  netdev: string;
  /** Rate of the host's time stamp counter in kHz, when known. */
  tscKhz: number | null;
  /** What the guest writes to its serial console, and what the monitor itself says. */
  onSerial: (chunk: Buffer) => void;
  onMessage: (chunk: Buffer) => void;
  /** The monitor's last lines, for an error. */
  lastMessages: () => string;
}

export interface VmmExit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface Vmm {
  readonly identity: ProcessIdentity;
  /** Resolves when the process is gone and its output was read; never rejects. */
  readonly exited: Promise<VmmExit>;
  /** Runs a line of the monitor's own command language and returns what it prints. */
  monitor(line: string): Promise<string>;
  /** Ends the VM as if its plug were pulled, and waits until the process is gone. Idempotent. */
  kill(): Promise<void>;
}
