/** What Airlock knows of a provider, as data and pure functions; one file a provider. Safe to load in a browser. */
import { z } from 'zod';

export const providerIds = ['codex', 'claude_code', 'gemini_cli'] as const;
export const ProviderId = z.enum(providerIds);
export type ProviderId = z.infer<typeof ProviderId>;

export interface CredentialFile {
  /** Relative to the home directory. */
  path: string;
  /** Octal permission bits that the CLI itself uses. */
  mode: number;
}

export type CredentialVerdict =
  /** Complete: a CLI would accept it. */
  | { complete: true }
  /** What is missing, without any content. */
  | { complete: false; reason: string };

/** How the CLI of a provider signs in. `null` in `Provider.login` while Airlock cannot drive it yet. */
export interface ProviderLogin {
  /** Program and arguments, run in a PTY as the desktop user with DISPLAY and BROWSER set. */
  argv: readonly [string, ...string[]];
  /** Finds the sign-in page in the CLI's output once escape sequences and line wraps are removed. */
  authorizeUrl: RegExp;
  /** Every host that the CLI and its sign-in page must reach. */
  hosts: readonly string[];
  credentialFiles: readonly [CredentialFile, ...CredentialFile[]];
  /** Decides from the text of the files (by path) whether the login is complete. Never throws. */
  inspectCredential(files: ReadonlyMap<string, string>): CredentialVerdict;
  /** The CLI's own word on whether it is logged in. */
  proof: { argv: readonly [string, ...string[]]; accepts(exitCode: number, output: string): boolean };
}

export interface Provider {
  id: ProviderId;
  /** Other names that the API accepts. */
  aliases: readonly string[];
  name: string;
  vendor: string;
  description: string;
  /** Name of the CLI's program. */
  program: string;
  login: ProviderLogin | null;
}
