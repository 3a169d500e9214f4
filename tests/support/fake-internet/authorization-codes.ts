/** Authorization codes of a simulated provider: for one use, for ten minutes, bound to redirect URI and PKCE challenge. */
import { createHash, randomBytes } from 'node:crypto';

export interface CodeBinding {
  redirectUri: string;
  codeChallenge: string;
}

export interface AuthorizationCodes<T extends CodeBinding> {
  issue(binding: T): string;
  /** What the code was issued for, or why it is refused. Any attempt uses the code up, also a wrong one. */
  redeem(code: string, redirectUri: string, verifier: string): { binding: T } | { problem: string };
}

const lifetimeMs = 10 * 60_000;

/** `prefix`: what the provider's codes begin with. */
export function createAuthorizationCodes<T extends CodeBinding>(prefix: string): AuthorizationCodes<T> {
  const codes = new Map<string, { binding: T; expiresAt: number }>();
  return {
    issue: (binding) => {
      const code = `${prefix}${randomBytes(32).toString('base64url')}`;
      codes.set(code, { binding, expiresAt: Date.now() + lifetimeMs });
      return code;
    },
    redeem: (code, redirectUri, verifier) => {
      const issued = codes.get(code);
      codes.delete(code);
      if (issued === undefined) return { problem: 'The code is unknown or was used before.' };
      if (issued.expiresAt < Date.now()) return { problem: 'The code has expired.' };
      const { binding } = issued;
      if (redirectUri !== binding.redirectUri)
        return { problem: 'redirect_uri is not the one of the authorize request.' };
      if (!/^[A-Za-z0-9._~-]{43,128}$/.test(verifier)) return { problem: 'code_verifier is missing or malformed.' };
      const challenge = createHash('sha256').update(verifier).digest('base64url');
      return challenge === binding.codeChallenge
        ? { binding }
        : { problem: 'code_verifier does not match code_challenge.' };
    },
  };
}
