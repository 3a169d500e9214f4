/** Bodies of the calls by which a browser signs in to the controller, and what it shows from then on. */
import { z } from 'zod';
import { User, UserName } from './api.js';

const LoginToken = z.string().min(16).max(128);
/** `POST /api/login/account`: whose account a login link opens; asking does not use the link up. */
export const LoginAccountRequest = z.strictObject({ token: LoginToken });
export const LoginAccount = z.strictObject({ userName: UserName, expiresAt: z.iso.datetime() });
export type LoginAccount = z.infer<typeof LoginAccount>;
/**
 * `POST /api/login`: trades a one-time login token for a cookie and a page secret. `replace`: also where somebody else is signed in in
 * this browser, whose sign-in there ends.
 */
export const LoginRequest = z.strictObject({ token: LoginToken, replace: z.boolean().default(false) });
/** `page`: the page secret, without which the cookie is nothing. The page keeps it in the storage of its origin. */
export const LoginResponse = z.strictObject({ user: User, page: z.string() });
export type LoginResponse = z.infer<typeof LoginResponse>;
/** The header that carries the page secret beside the cookie: cookies reach every port of a host, this one origin alone. */
export const pageHeader = 'x-airlock-page';
/** `POST /api/login-tokens`, by API token only: makes a one-time login link for the calling user, or (admin) for `userName`. */
export const CreateLoginTokenRequest = z.strictObject({ userName: UserName.optional() });
export const CreateLoginTokenResponse = z.strictObject({ url: z.string(), expiresAt: z.iso.datetime() });
