/** Bodies of the controller's API about what signs people in: tokens, and browsers that are signed in. */
import { z } from 'zod';
import { SignInId } from './ids.js';
import { named } from './named.js';

/** `POST /api/users/:id/rotate-token`: the token that is good from now on, shown this once. */
export const RotateTokenResponse = z.strictObject({ token: z.string() });

/** A browser that is signed in. Its id opens nothing. */
export const SignIn = z
  .strictObject({
    id: SignInId,
    createdAt: z.iso.datetime(),
    /** To the minute; null when it was never used. */
    lastUsedAt: z.iso.datetime().nullable(),
    /** When it ends, however much it is used. */
    expiresAt: z.iso.datetime(),
    /** Whether the request for this list came with it. */
    current: z.boolean(),
  })
  .register(named, { id: 'SignIn' });
export type SignIn = z.infer<typeof SignIn>;
/** `GET /api/users/:id/sign-ins`, the newest first. */
export const SignInList = z.strictObject({ signIns: z.array(SignIn) });
/** `DELETE /api/users/:id/sign-ins`: how many there were. */
export const SignOutResponse = z.strictObject({ ended: z.int().nonnegative() });
