/** OpenAI Codex CLI. Facts observed with @openai/codex 0.169. */
import { z } from 'zod';
import { maybe, opaqueText, plainText } from './credential-content.js';
import { readDocument } from './credential-document.js';
import { expiryIn, jwtExpiry } from './expiry.js';
import type { CredentialVerdict, FileTexts, ProviderFacts, ProviderPrompt, VendorQuestion } from './facts.js';
import { readJsonLine } from './json-line.js';
import { refusals } from './refusals/codex.js';

const authFile = {
  path: '.codex/auth.json',
  mode: 0o600,
  required: true,
  delivery: 'replace',
  keeps: z.object({
    auth_mode: maybe(plainText),
    OPENAI_API_KEY: maybe(opaqueText),
    tokens: maybe(
      z.object({
        id_token: opaqueText,
        access_token: opaqueText,
        refresh_token: opaqueText,
        account_id: maybe(opaqueText),
        /** Who gave the tokens; a name for the token server's records, nothing that the CLI goes to. */
        oauth_provenance: maybe(
          z.object({ issuer: z.literal('https://auth.openai.com'), client_id: maybe(opaqueText) }),
        ),
        login_owner_id: maybe(opaqueText),
      }),
    ),
    last_refresh: maybe(plainText),
  }),
} as const;

/** The part of auth.json that a ChatGPT login must have; other members come and go with versions. */
const Auth = z.looseObject({
  tokens: z.looseObject({
    id_token: z.string().min(1),
    access_token: z.string().min(1),
    refresh_token: z.string().min(1),
    account_id: z.string().optional().catch(undefined),
  }),
});
/** What `codex login --with-api-key` writes. */
const ApiKeyAuth = z.looseObject({ auth_mode: z.literal('apikey'), OPENAI_API_KEY: z.string().min(1) });

function inspectCredential(files: FileTexts): CredentialVerdict {
  if (readDocument(files, authFile.path, ApiKeyAuth).value) return { complete: true };
  const { reason } = readDocument(files, authFile.path, Auth);
  return reason === undefined ? { complete: true } : { complete: false, reason };
}

/** As the CLI itself begins a prompt (0.169); and the list of models, which every key may read that is not restricted (else 403). */
function question(files: FileTexts, now: number): VendorQuestion | null {
  const refusedBy = [401];
  const key = readDocument(files, authFile.path, ApiKeyAuth).value?.OPENAI_API_KEY;
  if (key !== undefined)
    return { url: 'https://api.openai.com/v1/models', headers: { authorization: `Bearer ${key}` }, refusedBy };
  const { access_token, account_id } = readDocument(files, authFile.path, Auth).value?.tokens ?? {};
  if (access_token === undefined || (jwtExpiry(access_token) ?? Infinity) <= now) return null;
  const headers = {
    authorization: `Bearer ${access_token}`,
    ...(account_id !== undefined && { 'chatgpt-account-id': account_id }),
  };
  return { url: 'https://chatgpt.com/backend-api/wham/accounts/check', headers, refusedBy };
}

/** The access token is a JWT; with a refresh token the CLI gets a new one by itself. */
const Expiry = z
  .looseObject({ tokens: z.looseObject({ access_token: z.string(), refresh_token: z.string().default('') }) })
  .transform(({ tokens }) => {
    const expiresAt = jwtExpiry(tokens.access_token);
    return expiresAt === null ? null : { expiresAt, renewable: tokens.refresh_token !== '' };
  });

/** How an error begins that has not ended the turn: `Reconnecting... 2/5 (why)`, and `Reconnecting... waiting for network (why)` without end. */
const reconnecting = 'Reconnecting... ';

/** The events of a prompt (`--json`) that tell a person something. Others (reasoning, commands, other errors) come and go with versions. */
const Event = z.union([
  z.looseObject({
    type: z.literal('item.completed'),
    item: z.looseObject({ type: z.literal('agent_message'), text: z.string() }),
  }),
  z.looseObject({ type: z.literal('error'), message: z.string().startsWith(reconnecting) }),
  z.looseObject({ type: z.literal('turn.failed'), error: z.looseObject({ message: z.string() }) }),
]);

const prompt: ProviderPrompt = {
  // Ephemeral: no copy of the conversation stays on the disk. The folder need not be a git repository.
  argv: ['codex', 'exec', '--json', '--ephemeral', '--skip-git-repo-check', '-'],
  read(line) {
    const event = readJsonLine(Event, line);
    if (!event) return null;
    if (event.type === 'error') return { status: `reconnecting: ${event.message.slice(reconnecting.length)}` };
    return event.type === 'turn.failed' ? { error: event.error.message } : { text: `${event.item.text}\n` };
  },
};

export const codex: ProviderFacts = {
  aliases: ['codex_cli', 'openai'],
  name: 'Codex',
  vendor: 'OpenAI',
  description: 'OpenAI’s coding agent. Sign in with a ChatGPT account.',
  program: 'codex',
  image: {
    package: '@openai/codex',
    // A host for speech; a VM has no sound.
    leftOut: ['*/codex-resources/voice'],
  },
  version: { argv: ['codex', '--version'] },
  caVariables: ['CODEX_CA_CERTIFICATE'],
  login: {
    argv: ['codex', 'login'],
    authorizeUrl: /https:\/\/auth\.openai\.com\/oauth\/authorize\?[^\s"'<>]+/,
    hosts: ['auth.openai.com', 'chatgpt.com', 'api.openai.com'],
    credentialFiles: [authFile],
    inspectCredential,
    expiry: (files) => expiryIn(files, authFile.path, Expiry),
    proof: {
      argv: ['codex', 'login', 'status'],
      accepts: (exitCode, output) => exitCode === 0 && /Logged in using ChatGPT|API key configured/.test(output),
    },
    question,
    refusals,
    deviceCode: {
      argv: ['codex', 'login', '--device-auth'],
      url: /https:\/\/auth\.openai\.com\/codex\/device\b/,
      code: /\b[A-Z0-9]{4}-[A-Z0-9]{4,5}\b/,
    },
    // Its sign-in page never shows a code: it calls back, or the device code is used.
    pasteCode: null,
    callback: true,
    apiKey: {
      // Other vendors' keys begin alike: Anthropic's, OpenRouter's.
      key: /^sk-(?!ant-|or-)[A-Za-z0-9_-]{16,256}$/,
      files: (key) =>
        new Map([[authFile.path, `${JSON.stringify({ auth_mode: 'apikey', OPENAI_API_KEY: key }, null, 2)}\n`]]),
    },
  },
  prompt,
};
