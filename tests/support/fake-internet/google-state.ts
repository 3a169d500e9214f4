/** What the simulated Google remembers while a test runs: codes, tokens, and how often each step was reached. */
import type { Account, SignInCounts, SignInPages, Transaction } from './sign-in-pages.js';

/** What Code Assist thinks of the account; what it says of each stands in `google-eligibility.ts`. */
export type GoogleStanding = 'licensed' | 'workspace' | 'individual' | 'location' | 'age' | 'unverified';

export interface GoogleProviderOptions {
  account: Account;
  /** Text that every token contains; base64url characters only. */
  canaryToken: string;
}

/** How often each step was reached; a test asserts on these. */
export interface GoogleCounts extends SignInCounts {
  codesRedeemed: number;
  codesRefused: number;
  refreshes: number;
  refreshesRefused: number;
  onboardings: number;
  /** Requests for generated content that were answered. */
  prompts: number;
  /** Requests that came without a live access token, or without a known API key. */
  unauthenticated: number;
}

/** The client of an installed application: its id and secret are no secrets, they are in the CLI's published source. */
export const geminiClient = {
  id: '681255809395-oo8ft2oprdrnp9e3aqf6av3hmdib135j.apps.googleusercontent.com',
  secret: ['GOCSPX', '4uHgMPm-1o7Sk-geV6Cu5clXFsxl'].join('-'),
};
/** What the CLI may be called back at: any free port of the loopback interface. */
export const geminiLoopback = /^http:\/\/127\.0\.0\.1:\d{4,5}\/oauth2callback$/;
/** The page that shows the code, for a CLI without a browser. */
export const geminiCodePage = 'https://codeassist.google.com/authcode';

export const geminiScopes = [
  'https://www.googleapis.com/auth/cloud-platform',
  'https://www.googleapis.com/auth/userinfo.email',
  'https://www.googleapis.com/auth/userinfo.profile',
];

export const codeLifetimeMs = 10 * 60_000;
/** What Google says of an access token, in seconds. */
export const accessLifetimeS = 3599;

/** One authorization under way; Google asks for no PKCE where the callback is on the loopback interface. */
export interface GoogleTransaction extends Transaction {
  codeChallenge: string | null;
}

export interface IssuedCode {
  redirectUri: string;
  codeChallenge: string | null;
  expiresAt: number;
}

export interface GoogleState {
  options: GoogleProviderOptions;
  counts: GoogleCounts;
  pages: SignInPages<GoogleTransaction>;
  codes: Map<string, IssuedCode>;
  /** A refresh token stays the same through all refreshes, until it is revoked. */
  refreshTokens: Set<string>;
  /** Access tokens by the time when they end, in milliseconds. */
  accessTokens: Map<string, number>;
  apiKeys: Set<string>;
  standing: GoogleStanding;
  /** Whether this account has its Code Assist project already. */
  onboarded: boolean;
  /** How often an onboarding operation was asked for, by name. */
  operations: Map<string, number>;
}
