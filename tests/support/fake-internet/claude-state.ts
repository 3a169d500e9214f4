/** What the simulated Anthropic remembers while a test runs: codes, tokens, and how often each step was reached. */
import type { AuthorizationCodes } from './authorization-codes.js';
import type { Account, SignInCounts, SignInPages, Transaction } from './sign-in-pages.js';

export interface ClaudeProviderOptions {
  account: Account;
  /** Text that every token contains; base64url characters only. */
  canaryToken: string;
}

/** How often each step was reached; a test asserts on these. */
export interface ClaudeCounts extends SignInCounts {
  codesRedeemed: number;
  codesRefused: number;
  refreshes: number;
  /** A refresh token came that was used before, or was never given. */
  refreshesRefused: number;
  /** Prompts that were answered. */
  messages: number;
  /** Requests that came without a live access token, or without a known API key. */
  unauthenticated: number;
}

export const claudeClientId = '9d1c250a-e61b-44d9-88ed-5944d1962f5e';
/** What the CLI may be called back at: any port of the loopback interface. */
export const claudeLoopback = /^http:\/\/localhost:\d{4,5}\/callback$/;
/** The page that shows the code, for a browser that cannot reach the CLI. */
export const claudeCodePage = 'https://platform.claude.com/oauth/code/callback';

export const claudeAccount = {
  uuid: 'aaaaaaaa-0000-4000-8000-000000000001',
  organizationUuid: 'bbbbbbbb-0000-4000-8000-000000000001',
  organizationName: 'Test Organization',
};

/** Seconds that Anthropic says an access token lives. */
export const accessLifetimeS = 8 * 3600;

export interface ClaudeTransaction extends Transaction {
  codeChallenge: string;
  scope: string;
}

export interface ClaudeState {
  options: ClaudeProviderOptions;
  counts: ClaudeCounts;
  pages: SignInPages<ClaudeTransaction>;
  codes: AuthorizationCodes<ClaudeTransaction>;
  /** The one live refresh token of each login, with its scope; each use replaces it. */
  refreshTokens: Map<string, string>;
  /** Access tokens by the time when they end, in milliseconds. */
  accessTokens: Map<string, number>;
  apiKeys: Set<string>;
  refusesLogins: boolean;
}
