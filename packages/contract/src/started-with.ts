/** What a VM was started with last, as its row and the API tell it. */
import { z } from 'zod';
import { CountMs } from './count-ms.js';

/** netns: a namespace of the VM's own, in which its VMM is locked up. user: that of its VMM. */
export const VmNetwork = z.enum(['netns', 'user']);
export type VmNetwork = z.infer<typeof VmNetwork>;

/** All are null before the first start, or where they were not noted. */
export const StartedWith = z.strictObject({
  /** Both figures that the accelerator was chosen by. */
  countMs: CountMs.nullable(),
  network: VmNetwork.nullable(),
  /** Of the VMM; and in one sentence why. */
  driver: z.string().nullable(),
  driverReason: z.string().nullable(),
});
