/** What the simulated OpenAI remembers while a test runs: attempts, codes, and how often each step was reached. */
import type { AuthorizationCodes } from './authorization-codes.js';
import type { CodexModel } from './codex-api.js';
import type { Account, SignInCounts, SignInPages, Transaction } from './sign-in-pages.js';

export interface CodexProviderOptions {
  account: Account;
  /** Text that every token contains; base64url characters only. */
  canaryToken: string;
  /** An API key that is valid from the start. */
  apiKey?: string;
  /** What answers prompts; by default their text comes back. */
  model?: CodexModel;
}

/** How often each step of a sign-in was reached; a test asserts on these. */
export interface CodexCounts extends SignInCounts {
  codesRedeemed: number;
  codesRefused: number;
  apiKeyExchanges: number;
  deviceCodesIssued: number;
  devicesApproved: number;
}

export const codexAccountId = '6d6d5a3e-0000-4000-8000-000000000001';
export const codexClientId = 'app_EMoamEEZ73f0CkXaXp7hrann';
/** What `codex login` may be called back at: the name and the port depend on its version and on which port is free. */
export const codexRedirectUri = /^http:\/\/(127\.0\.0\.1|localhost):(1455|1457)\/auth\/callback$/;

/** What the CLI names as redirect URI when it redeems the code of a device sign-in; nobody is sent there. */
export const codexDeviceRedirectUri = 'https://auth.openai.com/deviceauth/callback';

/** One authorization under way, from the authorize request to the decision. */
export interface CodexTransaction extends Transaction {
  codeChallenge: string;
}

/** A CLI that waits for somebody to type its code. */
export interface WaitingDevice {
  userCode: string;
  expiresAt: number;
  approved: boolean;
}

export interface CodexState {
  options: CodexProviderOptions;
  counts: CodexCounts;
  pages: SignInPages<CodexTransaction>;
  codes: AuthorizationCodes<CodexTransaction>;
  /** By device_auth_id. */
  devices: Map<string, WaitingDevice>;
  idTokens: Set<string>;
  /** Valid ones: what the API asks for. */
  accessTokens: Set<string>;
  apiKeys: Set<string>;
  refusesLogins: boolean;
  /** Texts that the model was asked. */
  prompts: string[];
}
