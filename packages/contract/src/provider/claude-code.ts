/**
 * Anthropic Claude Code. Facts observed with @anthropic-ai/claude-code 2.1.197 and 2.1.332: the tokens have a file of their own, beside
 * logins to MCP servers; who the account belongs to stands in `.claude.json` among everything else that the CLI remembers.
 */
import { z } from 'zod';
import { epochMs, maybe, opaqueText, plainText } from './credential-content.js';
import { readDocument } from './credential-document.js';
import { expiryIn } from './expiry.js';
import type {
  CredentialFile,
  CredentialVerdict,
  FileTexts,
  ProviderFacts,
  ProviderPrompt,
  VendorQuestion,
} from './facts.js';
import { readJsonLine } from './json-line.js';
import { refusals } from './refusals/claude-code.js';

const tokensFile = '.claude/.credentials.json';
const stateFile = '.claude.json';

const keptTokens = z.object({
  claudeAiOauth: z.object({
    accessToken: opaqueText,
    refreshToken: opaqueText,
    expiresAt: maybe(epochMs),
    refreshTokenExpiresAt: maybe(epochMs),
    scopes: maybe(z.array(opaqueText).max(64)),
    subscriptionType: maybe(plainText),
    subscriptionTypeSource: maybe(plainText),
    subscriptionTypeVerifiedAt: maybe(z.union([epochMs, plainText])),
    rateLimitTier: maybe(plainText),
    clientId: maybe(opaqueText),
    accountUuid: maybe(opaqueText),
    organizationUuid: maybe(opaqueText),
  }),
});
const flags = z
  .record(z.string().regex(/^[A-Za-z_]\w{0,63}$/), z.union([z.boolean(), epochMs, plainText, z.null()]))
  .refine((all) => Object.keys(all).length <= 64);
const keptState = z.object({
  oauthAccount: maybe(
    z.object({
      accountUuid: opaqueText,
      emailAddress: plainText.min(1),
      organizationUuid: maybe(opaqueText),
      organizationName: maybe(plainText),
      organizationRole: maybe(plainText),
      organizationType: maybe(plainText),
      workspaceRole: maybe(plainText),
      displayName: maybe(plainText),
      fullName: maybe(plainText),
      hasExtraUsageEnabled: maybe(z.boolean()),
      billingType: maybe(plainText),
      accountCreatedAt: maybe(plainText),
      subscriptionCreatedAt: maybe(plainText),
      ccOnboardingFlags: maybe(flags),
      claudeCodeTrialEndsAt: maybe(plainText),
      claudeCodeTrialDurationDays: maybe(epochMs),
      seatTier: maybe(plainText),
      singleSeatTeam: maybe(z.boolean()),
      planDisplayName: maybe(plainText),
    }),
  ),
  primaryApiKey: maybe(opaqueText),
  hasCompletedOnboarding: maybe(z.literal(true)),
});

const credentialFiles: readonly [CredentialFile, ...CredentialFile[]] = [
  {
    ...{ path: tokensFile, mode: 0o600, required: false, keeps: keptTokens },
    ...{ delivery: 'json', members: ['claudeAiOauth'] },
  },
  {
    ...{ path: stateFile, mode: 0o600, required: true, keeps: keptState },
    ...{ delivery: 'json', members: ['oauthAccount', 'primaryApiKey'] },
  },
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

/** Tokens, or an API key, or what is missing of the former. The CLI is signed in without knowing whose account it is, too. */
function inspectCredential(files: FileTexts): CredentialVerdict {
  const { reason } = readDocument(files, tokensFile, Tokens);
  if (reason === undefined || readDocument(files, stateFile, Key).value) return { complete: true };
  return { complete: false, reason };
}

/** Of both documents only the login. The time of the last look at the profile changes with every use, so it stays behind. */
function handOver(files: FileTexts): FileTexts {
  const text = (members: Record<string, unknown>): string => `${JSON.stringify(members, null, 2)}\n`;
  const tokens = readDocument(files, tokensFile, Tokens).value;
  if (tokens) {
    const account = readDocument(files, stateFile, Account).value?.oauthAccount;
    const { profileFetchedAt: _time, ...oauthAccount } = account ?? { profileFetchedAt: undefined };
    return new Map([
      [tokensFile, text({ claudeAiOauth: tokens.claudeAiOauth })],
      [stateFile, text({ ...(account && { oauthAccount }), ...firstRunFlags })],
    ]);
  }
  const primaryApiKey = readDocument(files, stateFile, Key).value?.primaryApiKey;
  return new Map([[stateFile, text({ primaryApiKey, ...firstRunFlags })]]);
}

/** Whose login it is, as the CLI itself asks at its end (2.1.332; a scope that is missing is a 403); and the list of models, for any key. */
function question(files: FileTexts, now: number): VendorQuestion | null {
  const refusedBy = [401];
  const tokens = readDocument(files, tokensFile, Tokens).value?.claudeAiOauth;
  const headers = { 'anthropic-version': '2023-06-01' };
  if (tokens === undefined) {
    const key = readDocument(files, stateFile, Key).value?.primaryApiKey ?? '';
    return { url: 'https://api.anthropic.com/v1/models', headers: { ...headers, 'x-api-key': key }, refusedBy };
  }
  if ((readDocument(files, tokensFile, Expiry).value?.expiresAt ?? Infinity) <= now) return null;
  return {
    url: 'https://api.anthropic.com/api/oauth/profile',
    headers: { ...headers, authorization: `Bearer ${tokens.accessToken}`, 'anthropic-beta': 'oauth-2025-04-20' },
    refusedBy,
  };
}

/** `claude auth status` prints JSON; it asks nobody, but says no once the CLI has found its login refused. */
function acceptsStatus(exitCode: number, output: string): boolean {
  const json = output.slice(output.indexOf('{'), output.lastIndexOf('}') + 1);
  const Status = z.looseObject({ loggedIn: z.literal(true) });
  return exitCode === 0 && readDocument(new Map([['status', json]]), 'status', Status).value !== undefined;
}

/**
 * 2.1.332 shows a short form of the address, at claude.ai and without the state that belongs to a pasted code; with this it shows the
 * whole one, as versions before. The browser gets that in any case.
 */
const env = { CLAUDE_CODE_FULL_SIGN_IN_LINK: '1' };

const authorizeUrl = /https:\/\/claude\.com\/cai\/oauth\/authorize\?[^\s"'<>]+/;

/** A piece of what the model says; a subagent's words (they have a parent) are not for the person. */
const Delta = z.looseObject({
  type: z.literal('stream_event'),
  parent_tool_use_id: z.null(),
  event: z.looseObject({
    type: z.literal('content_block_delta'),
    delta: z.looseObject({ type: z.literal('text_delta'), text: z.string() }),
  }),
});
/** The end of one message: what follows is another one. */
const MessageEnd = z.looseObject({
  type: z.literal('stream_event'),
  parent_tool_use_id: z.null(),
  event: z.looseObject({ type: z.literal('message_stop') }),
});
/** A try that failed; the next one comes. Without a status there was no answer, and `error` says nothing of why. */
const Retry = z.looseObject({
  type: z.literal('system'),
  subtype: z.literal('api_retry'),
  attempt: z.int(),
  max_retries: z.int(),
  error_status: z.int().nullable(),
  error: z.string(),
});
/** Why there is no answer: said as its text, or, of a run that has ended before any, as a list. */
const Failure = z.looseObject({
  type: z.literal('result'),
  is_error: z.literal(true),
  result: z.string().optional(),
  errors: z.array(z.string()).optional(),
});

const reasonOf = ({ result, errors = [] }: z.infer<typeof Failure>): string =>
  [result, errors.join('\n')].find((text) => text?.trim()) ?? 'Claude Code gave no reason.';

const statusOf = ({ attempt, max_retries: most, error_status: status, error }: z.infer<typeof Retry>): string =>
  `trying again (${attempt} of ${most}): ${status === null ? 'no answer' : `${error} (HTTP ${status})`}`;

const prompt: ProviderPrompt = {
  // Without an argument the prompt is read from standard input. No copy of the conversation stays on the disk.
  argv: [
    'claude',
    '--print',
    '--output-format',
    'stream-json',
    '--verbose',
    '--include-partial-messages',
    '--no-session-persistence',
  ],
  // Of its ten tries after a failure, which take three minutes: a wrong key or no network is told in seconds. The second
  // try, after a refusal, is the one with a renewed login.
  env: { CLAUDE_CODE_MAX_RETRIES: '3' },
  read(line) {
    const delta = readJsonLine(Delta, line);
    if (delta) return { text: delta.event.delta.text };
    if (readJsonLine(MessageEnd, line)) return { text: '\n' };
    const retry = readJsonLine(Retry, line);
    if (retry) return { status: statusOf(retry) };
    const failure = readJsonLine(Failure, line);
    return failure ? { error: reasonOf(failure) } : null;
  },
};

export const claudeCode: ProviderFacts = {
  aliases: ['claude', 'claude_code_pro', 'claude_code_max', 'anthropic'],
  name: 'Claude Code',
  vendor: 'Anthropic',
  description: 'Anthropic’s coding agent. Sign in with a Claude account.',
  program: 'claude',
  image: {
    // Below another name it would take itself for the vendor's own installation, and put newer versions into the home.
    package: '@anthropic-ai/claude-code',
    native: { package: '@anthropic-ai/claude-code-linux-x64', file: 'claude' },
  },
  version: { argv: ['claude', '--version'] },
  login: {
    argv: ['claude', 'auth', 'login'],
    env,
    // Shown with the address of the page that gives a code; the browser gets one that calls back to the CLI.
    authorizeUrl,
    hosts: ['claude.ai', 'claude.com', 'platform.claude.com', 'api.anthropic.com'],
    credentialFiles,
    inspectCredential,
    handOver,
    expiry: (files) => expiryIn(files, tokensFile, Expiry),
    proof: { argv: ['claude', 'auth', 'status'], accepts: acceptsStatus },
    question,
    // No flow for devices: the same login shows the address of a page that ends with a code instead of calling back.
    // (`claude setup-token` makes a token that cannot be renewed, so it is no login to hand over.)
    refusals,
    deviceCode: { argv: ['claude', 'auth', 'login'], env, url: authorizeUrl, code: null },
    pasteCode: { prompt: /Paste code here if prompted >/, code: /[A-Za-z0-9_-]{16,1024}#[A-Za-z0-9_-]{16,1024}/ },
    apiKey: {
      key: /^sk-ant-[A-Za-z0-9_-]{16,256}$/,
      files: (key) => new Map([[stateFile, `${JSON.stringify({ primaryApiKey: key, ...firstRunFlags }, null, 2)}\n`]]),
    },
  },
  prompt,
};
