import { z } from 'zod';

/**
 * How fast a guest is here under each accelerator: milliseconds of processor time in which it counts to a hundred million, or which
 * are certainly too few for that (`HostProbe.kvm.reason` says so). Null where that could not be found out.
 */
export const CountMs = z.strictObject({ kvm: z.number().positive().nullable(), tcg: z.number().positive().nullable() });
export type CountMs = z.infer<typeof CountMs>;
