/**
 * Google Gemini CLI. Facts observed with @google/gemini-cli 0.61.
 *
 * Sign-in and proof run `gemini --list-extensions --prompt x`: a run without its screen signs in before it does anything, then
 * lists the extensions (none) and ends; the prompt is never sent. The CLI's screen would take many seconds longer to start,
 * would have to be clicked through, would stay after the login, and would stay after a refusal too.
 */
import { z } from 'zod';
import { epochMs, keptLines, maybe, opaqueText, plainText } from './credential-content.js';
import { readDocument } from './credential-document.js';
import type {
  CredentialExpiry,
  CredentialFile,
  CredentialVerdict,
  FileTexts,
  ProviderFacts,
  ProviderPrompt,
  VendorQuestion,
} from './facts.js';
import { readJsonLine } from './json-line.js';
import { refusals, ways } from './refusals/gemini-cli.js';

const tokensFile = '.gemini/oauth_creds.json';
const accountFile = '.gemini/google_accounts.json';
const keyFile = '.gemini/.env';
const settingsFile = '.gemini/settings.json';

/** Of the settings, exactly what `settingsFor` writes. */
const off = maybe(z.literal(false));
const keptSettings = z.object({
  security: z.object({
    auth: z.object({ selectedType: z.enum(['oauth-personal', 'gemini-api-key']) }),
    folderTrust: maybe(z.object({ enabled: off })),
  }),
  privacy: maybe(z.object({ usageStatisticsEnabled: off })),
  general: maybe(z.object({ enableAutoUpdate: off, enableAutoUpdateNotification: off })),
});
const keptTokens = z.object({
  access_token: opaqueText,
  refresh_token: opaqueText,
  scope: maybe(plainText),
  token_type: maybe(opaqueText),
  id_token: maybe(opaqueText),
  expiry_date: maybe(epochMs),
  refresh_token_expires_in: maybe(epochMs),
});
const keptAccounts = z.object({ active: maybe(plainText), old: maybe(z.array(plainText).max(64)) });
const keyLine = /^GEMINI_API_KEY=[A-Za-z0-9_.-]{1,256}$/m;
/** The id of a project, never its number; before the colon the domain of an old one. */
const project = /(?:[a-z0-9][a-z0-9.-]{0,62}:)?[a-z][a-z0-9-]{4,28}[a-z0-9]/;
const projectLine = new RegExp(`^GOOGLE_CLOUD_PROJECT=${project.source}$`, 'm');

const credentialFiles: readonly [CredentialFile, ...CredentialFile[]] = [
  {
    ...{ path: settingsFile, mode: 0o600, required: true, keeps: keptSettings },
    ...{ delivery: 'json', members: ['security.auth.selectedType'], comments: true },
  },
  { path: tokensFile, mode: 0o600, required: false, keeps: keptTokens, delivery: 'replace' },
  { path: accountFile, mode: 0o644, required: false, keeps: keptAccounts, delivery: 'replace' },
  {
    ...{
      path: keyFile,
      mode: 0o600,
      required: false,
      keeps: new RegExp(`${keyLine.source}|${projectLine.source}`, 'm'),
    },
    ...{ delivery: 'variables', variables: ['GEMINI_API_KEY', 'GOOGLE_CLOUD_PROJECT'] },
  },
];

type AuthType = 'oauth-personal' | 'gemini-api-key';

/** How to sign in, and what a run that nobody watches must not do: ask for trust, report usage, replace the program. */
const settingsFor = (selectedType: AuthType): string =>
  `${JSON.stringify(
    {
      security: { auth: { selectedType }, folderTrust: { enabled: false } },
      privacy: { usageStatisticsEnabled: false },
      general: { enableAutoUpdate: false, enableAutoUpdateNotification: false },
    },
    null,
    2,
  )}\n`;

const Settings = z.looseObject({
  security: z.looseObject({
    auth: z.looseObject({ selectedType: z.enum(['oauth-personal', 'gemini-api-key']) }),
  }),
});
/** Google gives a refresh token with each new login; without it the login ends within the hour. */
const Tokens = z.looseObject({ access_token: z.string().min(1), refresh_token: z.string().min(1) });
/** When the access token ends, Unix epoch milliseconds. */
const Expiry = z.looseObject({ expiry_date: z.number().positive() });

function inspectCredential(files: FileTexts): CredentialVerdict {
  const settings = readDocument(files, settingsFile, Settings);
  if (!settings.value) return { complete: false, reason: settings.reason };
  if (settings.value.security.auth.selectedType === 'gemini-api-key') {
    const hasKey = keyLine.test(files.get(keyFile) ?? '');
    return hasKey ? { complete: true } : { complete: false, reason: `${keyFile} holds no GEMINI_API_KEY` };
  }
  const { reason } = readDocument(files, tokensFile, Tokens);
  return reason === undefined ? { complete: true } : { complete: false, reason };
}

/** An API key says nothing about its end, and its files hold no tokens. */
function expiry(files: FileTexts): CredentialExpiry | null {
  const tokens = readDocument(files, tokensFile, Expiry).value;
  return tokens ? { expiresAt: tokens.expiry_date, renewable: true } : null;
}

/**
 * The list of models, which costs nothing and every key may read. Google answers 400 to a key that it does not know; 403 to one that is
 * restricted to something else, or whose project has the API switched off. With a login the CLI asks Google by itself.
 */
function question(files: FileTexts): VendorQuestion | null {
  const key = /^GEMINI_API_KEY=(.+)$/m.exec(keptLines(files.get(keyFile) ?? '', keyLine))?.[1];
  if (key === undefined) return null;
  const url = 'https://generativelanguage.googleapis.com/v1beta/models?pageSize=1';
  return { url, headers: { 'x-goog-api-key': key }, refusedBy: [400, 401, 403] };
}

/** The files of the chosen way to sign in, and of the settings only what belongs to it. */
function handOver(files: FileTexts): FileTexts {
  const selectedType =
    readDocument(files, settingsFile, Settings).value?.security.auth.selectedType ?? 'oauth-personal';
  const isKey = selectedType === 'gemini-api-key';
  const kept = isKey ? [] : [tokensFile, accountFile];
  const texts = kept.flatMap((path): [string, string][] => {
    const text = files.get(path);
    return text === undefined ? [] : [[path, text]];
  });
  const variables = keptLines(files.get(keyFile) ?? '', isKey ? keyLine : projectLine);
  if (variables !== '') texts.push([keyFile, variables]);
  return new Map([[settingsFile, settingsFor(selectedType)], ...texts]);
}

/** Started directly, and not a second time with other memory settings, which doubles a slow start. */
const env = { GEMINI_CLI_NO_RELAUNCH: 'true' };

const authorizeUrl = /https:\/\/accounts\.google\.com\/o\/oauth2\/[^\s"'<>]+/;

/** The events of a prompt (stream-json) that tell a person something. Others (the prompt itself, tools, warnings) come and go with versions. */
const Event = z.union([
  z.looseObject({ type: z.literal('message'), role: z.literal('assistant'), content: z.string() }),
  z.looseObject({
    type: z.literal('result'),
    status: z.literal('error'),
    error: z.looseObject({ message: z.string() }),
  }),
]);

/** On standard error, with the reason in the same line: `Attempt 1 failed with status 503. Retrying with backoff... _ApiError: {…}`. */
const retried = /^Attempt (\d+ failed\b.*?)\. Retrying (.*)/;
const said = /"message":"([^"\\]+)"|\bError: (.+)/;

function statusOf(line: string): { status: string } | null {
  const [, what, rest = ''] = retried.exec(line) ?? [];
  if (what === undefined) return null;
  const [, message, thrown] = said.exec(rest) ?? [];
  const why = message ?? thrown;
  return { status: `trying again: attempt ${what}${why === undefined ? '' : ` (${why})`}` };
}

const prompt: ProviderPrompt = {
  // Whatever is not a terminal makes the CLI read its prompt from standard input.
  argv: ['gemini', '--output-format', 'stream-json'],
  // A login that is not accepted ends the run instead of asking for a new one.
  env: { ...env, NO_BROWSER: 'true' },
  read(line) {
    const event = readJsonLine(Event, line);
    if (!event) return statusOf(line);
    // Pieces of one answer: the CLI puts line breaks where they belong.
    return event.type === 'result' ? { error: event.error.message } : { text: event.content };
  },
};

export const geminiCli: ProviderFacts = {
  aliases: ['gemini', 'google'],
  name: 'Gemini CLI',
  vendor: 'Google',
  description: 'Google’s coding agent. Sign in with a Google account that has a licence, or use an API key.',
  notice: `Since 18 June 2026 Google refuses accounts of individuals (free, AI Pro, AI Ultra) in Gemini CLI, after the password. ${ways}`,
  program: 'gemini',
  image: {
    package: '@google/gemini-cli',
    // A browser under remote control, which no VM here may be.
    leftOut: ['*/bundle/bundled'],
    bundle: { folder: 'bundle', entry: 'gemini.js' },
  },
  version: { argv: ['gemini', '--version'], env, timeoutMs: 180_000 },
  login: {
    argv: ['gemini', '--list-extensions', '--prompt', 'x'],
    env,
    terminal: { columns: 120, rows: 40 },
    before: [{ path: settingsFile, mode: 0o600, text: settingsFor('oauth-personal'), comments: true }],
    answers: [{ question: /Opening authentication page in your browser\. Do you want to continue\?/, keys: '\r' }],
    // Shown only by a CLI without a browser.
    authorizeUrl,
    // The line ends when the answer has been taken; the page is opened at once then.
    opensUnseen: { screen: /Do you want to continue\? \[Y\/n\]:\s*\n/, host: 'accounts.google.com' },
    hosts: [
      'accounts.google.com',
      'oauth2.googleapis.com',
      'www.googleapis.com',
      'cloudcode-pa.googleapis.com',
      'developers.google.com',
      'generativelanguage.googleapis.com',
    ],
    credentialFiles,
    inspectCredential,
    handOver,
    expiry,
    proof: {
      // Renews the access token where it is due, has Google check it, and asks Code Assist who this is and what they may use:
      // a live answer of both, and no model is asked, so it costs no quota and cannot fail for lack of it. NO_BROWSER makes
      // the CLI give up a login that is not accepted instead of asking for a new one. With an API key the CLI only looks that
      // there is one; `question` asks Google.
      argv: ['gemini', '--debug', '--list-extensions', '--prompt', 'x'],
      env: { ...env, NO_BROWSER: 'true' },
      // It ends with 0 also when the login is refused, so its words decide: the experiments are asked for at the very end.
      accepts: (exitCode, output) =>
        exitCode === 0 && /^Experiments loaded\b/m.test(output) && !/Error authenticating/.test(output),
    },
    question,
    // Not Google's flow for devices: the same page, which ends by showing a code instead of calling back. It needs a terminal.
    settings: [
      {
        ...{ name: 'project', label: 'Google Cloud project', pattern: project },
        note: 'Its id, such as my-project-123, as the Google Cloud console lists it; not its name, and not its number.',
        ...{ variable: 'GOOGLE_CLOUD_PROJECT', file: keyFile },
      },
    ],
    refusals,
    deviceCode: {
      argv: ['gemini', '--list-extensions'],
      env: { ...env, NO_BROWSER: 'true' },
      url: authorizeUrl,
      code: null,
    },
    pasteCode: { prompt: /Enter the authorization code:/, code: /4\/[A-Za-z0-9_-]{20,512}/ },
    apiKey: {
      // Of Google's API keys, and of those that are bound to a service account.
      key: /^(?:AIza[A-Za-z0-9_-]{35}|AQ\.[A-Za-z0-9_.-]{20,253})$/,
      files: (key) =>
        new Map([
          [settingsFile, settingsFor('gemini-api-key')],
          [keyFile, `GEMINI_API_KEY=${key}\n`],
        ]),
    },
  },
  prompt,
};
