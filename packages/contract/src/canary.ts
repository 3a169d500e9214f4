/** What `npm run canary` found out about the newest coding CLIs. Safe to load in a browser. */
import { z } from 'zod';
import { named } from './named.js';

export const CanaryReport = z
  .strictObject({
    /** When the run ended. */
    at: z.iso.datetime(),
    /** Why nothing could be tried; null where it could. */
    problem: z.string().min(1).nullable(),
    clis: z.array(
      z.strictObject({
        /** Its provider's. */
        id: z.string().min(1),
        /** The version that was tried: the newest that an image can have. Null: there was no image to try it in. */
        tried: z.string().min(1).nullable(),
        /** What npm's registry calls the latest. Null: it did not tell. */
        latest: z.string().min(1).nullable(),
        /** Why the version that was tried is not the latest; null when it is. */
        keptBack: z.string().min(1).nullable(),
        signsIn: z.enum(['yes', 'no', 'not_tried']),
        /** Where the sign-in failed, and its reason. */
        failure: z.string().min(1).nullable(),
        /** Names of what the CLI wrote beside the login that is known of it, which was not handed over: perhaps new members of it. */
        leftOut: z.array(z.string().min(1).max(512)).max(32).default([]),
      }),
    ),
  })
  .register(named, { id: 'CanaryReport' });
export type CanaryReport = z.infer<typeof CanaryReport>;
