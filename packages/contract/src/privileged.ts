/**
 * The privileged helper: the one program of Airlock that needs root. One process of it serves one connection, which is the runner's
 * for one VM, and gives back all that it made when the connection ends. Each request is a line of JSON and is answered by one.
 */
import { z } from 'zod';
import { ReceivedError } from './errors.js';
import { VmId } from './ids.js';

/** The interface that a VM is plugged into; the same in the namespace of each. What the guest sees is `guestNetwork`. */
export const tapNetwork = { tap: 'airlock0', mac: '52:54:00:12:34:56', gatewayMac: '02:00:0a:00:02:64' } as const;

/** Name of the network namespace of a VM. */
export const namespaceOf = (vmId: string): string => `airlock-${vmId}`;

/** Unix sockets in the folder that the helper answers `network` with: by the first the runner is called, by the others it calls. */
export const relaySockets = { gateway: 'e.sock', agent: 'a.sock', desktop: 'd.sock' } as const;

/** Where a helper that systemd starts listens. */
export const helperSocket = '/run/airlock-helper.sock';

/** Closed: a verb that is not here does not exist. They name a VM by its id, and nothing by a path. */
export const HelperRequest = z.discriminatedUnion('verb', [
  /** What this host offers. */
  z.strictObject({ verb: z.literal('status') }),
  /** Makes the network of a VM; once on a connection. */
  z.strictObject({ verb: z.literal('network'), vmId: VmId }),
]);
export type HelperRequest = z.infer<typeof HelperRequest>;

/** Bytes of a line, either way. */
export const maxHelperLine = 64 * 1024;

export const HelperStatus = z.strictObject({
  /** Of this protocol. */
  version: z.literal(1),
  /** Why no network can be made here: one sentence; null when it can. */
  networkProblem: z.string().max(1000).nullable(),
});
export type HelperStatus = z.infer<typeof HelperStatus>;

/** Absolute path of the folder with `relaySockets`, which belongs to the runner's user. */
export const NetworkAnswer = z.strictObject({ folder: z.string().max(80).startsWith('/') });
export type NetworkAnswer = z.infer<typeof NetworkAnswer>;

/** What a request is answered with when it cannot be done. */
export const HelperRefusal = z.strictObject({ error: ReceivedError });
