/**
 * Anthropic Claude Code. Facts observed with @anthropic-ai/claude-code 2.1.197: the tokens have a file of their own, beside
 * logins to MCP servers; who the account belongs to stands in `.claude.json` among everything else that the CLI remembers.
 */
import { z } from 'zod';
import { claudePrompt } from './claude-prompt.js';
import { readDocument } from './credential-document.js';
import { expiryIn } from './expiry.js';
import type { CredentialFile, CredentialVerdict, FileTexts, Provider } from './provider.js';

const tokensFile = '.claude/.credentials.json';
const stateFile = '.claude.json';

const credentialFiles: readonly [CredentialFile, ...CredentialFile[]] = [
  { path: tokensFile, mode: 0o600, required: false, delivery: 'json', members: ['claudeAiOauth'] },
  { path: stateFile, mode: 0o600, required: true, delivery: 'json', members: ['oauthAccount', 'primaryApiKey'] },
];

const Tokens = z.looseObject({
  claudeAiOauth: z.looseObject({ accessToken: z.string().min(1), refreshToken: z.string().min(1) }),
});
const Account = z.looseObject({
  oauthAccount: z.looseObject({ accountUuid: z.string().min(1), emailAddress: z.string().min(1) }),
});
/** What an account of Anthropic's console signs in with; the CLI makes no difference to a key that was put there. */
const Key = z.looseObject({ primaryApiKey: z.string().min(1) });

const Expiry = z
  .looseObject({
    claudeAiOauth: z.looseObject({ expiresAt: z.number().positive(), refreshToken: z.string().default('') }),
  })
  .transform(({ claudeAiOauth: tokens }) => ({ expiresAt: tokens.expiresAt, renewable: tokens.refreshToken !== '' }));

/** Without it a person who starts the CLI would be taken through its first run, and asked to sign in once more. */
const firstRunFlags = { hasCompletedOnboarding: true };

/** Tokens and account, or an API key, or what is missing of the former. */
function inspectCredential(files: FileTexts): CredentialVerdict {
  const { reason } = readDocument(files, tokensFile, Tokens);
  if (reason !== undefined && readDocument(files, stateFile, Key).value) return { complete: true };
  const lack = reason ?? readDocument(files, stateFile, Account).reason;
  return lack === undefined ? { complete: true } : { complete: false, reason: lack };
}

/** Of both documents only the login. The time of the last look at the profile changes with every use, so it stays behind. */
function handOver(files: FileTexts): FileTexts {
  const text = (members: Record<string, unknown>): string => `${JSON.stringify(members, null, 2)}\n`;
  const tokens = readDocument(files, tokensFile, Tokens).value;
  const account = readDocument(files, stateFile, Account).value;
  if (tokens && account) {
    const { profileFetchedAt: _time, ...oauthAccount } = account.oauthAccount;
    return new Map([
      [tokensFile, text({ claudeAiOauth: tokens.claudeAiOauth })],
      [stateFile, text({ oauthAccount, ...firstRunFlags })],
    ]);
  }
  const primaryApiKey = readDocument(files, stateFile, Key).value?.primaryApiKey;
  return new Map([[stateFile, text({ primaryApiKey, ...firstRunFlags })]]);
}

/** `claude auth status` prints JSON; it asks nobody, but says no once the CLI has found its login refused. */
function acceptsStatus(exitCode: number, output: string): boolean {
  const json = output.slice(output.indexOf('{'), output.lastIndexOf('}') + 1);
  const Status = z.looseObject({ loggedIn: z.literal(true) });
  return exitCode === 0 && readDocument(new Map([['status', json]]), 'status', Status).value !== undefined;
}

const authorizeUrl = /https:\/\/claude\.com\/cai\/oauth\/authorize\?[^\s"'<>]+/;

export const claudeCode: Provider = {
  id: 'claude_code',
  aliases: ['claude', 'claude_code_pro', 'claude_code_max', 'anthropic'],
  name: 'Claude Code',
  vendor: 'Anthropic',
  description: 'Anthropic’s coding agent. Sign in with a Claude account.',
  program: 'claude',
  login: {
    argv: ['claude', 'auth', 'login'],
    // Shown with the address of the page that gives a code; the browser gets one that calls back to the CLI.
    authorizeUrl,
    hosts: ['claude.com', 'claude.ai', 'platform.claude.com', 'api.anthropic.com'],
    credentialFiles,
    inspectCredential,
    handOver,
    expiry: (files) => expiryIn(files, tokensFile, Expiry),
    proof: { argv: ['claude', 'auth', 'status'], accepts: acceptsStatus },
    // No flow for devices: the same login shows the address of a page that ends with a code instead of calling back.
    // (`claude setup-token` makes a token that cannot be renewed, so it is no login to hand over.)
    deviceCode: { argv: ['claude', 'auth', 'login'], url: authorizeUrl, code: null },
    pasteCode: { prompt: /Paste code here if prompted >/, code: /[A-Za-z0-9_-]{16,1024}#[A-Za-z0-9_-]{16,1024}/ },
    apiKey: {
      key: /^sk-ant-[A-Za-z0-9_-]{16,256}$/,
      files: (key) => new Map([[stateFile, `${JSON.stringify({ primaryApiKey: key, ...firstRunFlags }, null, 2)}\n`]]),
    },
  },
  prompt: claudePrompt,
};
