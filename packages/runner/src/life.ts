/** The state that the parts of one runner share: made by run.ts, read by the handlers of its socket. */
import type { Logger } from 'pino';
import type { RunnerSecrets, VmSpec } from '@airlock/contract/runner';
import type { Connections, PoweredVm } from './boot.js';
import type { GuestAgent } from './guest/agent.js';
import type { Configuration } from './guest/configuration.js';
import type { BootClock } from './lib/boot-clock.js';
import type { StatusStore } from './lib/status.js';
import type { StopSwitch } from './lib/stop.js';

/** What the runner holds while its VM lives; parts appear as they are made. */
export interface Life {
  readonly status: StatusStore;
  readonly stop: StopSwitch;
  /** Aborted, with an AppError as reason, by the first thing that ends the VM against our will. */
  readonly trouble: AbortController;
  readonly log: Logger;
  readonly spec: VmSpec;
  secrets?: RunnerSecrets;
  parts?: Connections;
  vm?: PoweredVm;
  bootClock?: BootClock;
  agent?: GuestAgent;
  configuration?: Configuration;
  /** Why the VM was not ready when it was last looked at. */
  notYet?: string;
}
