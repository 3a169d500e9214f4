/** `airlock credential …`: what is stored for the caller, how well it is, and taking it away. Never the secret itself. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Command } from 'commander';
import { ApiKeyResponse, CredentialList, CredentialSummary, RemoveCredentialResponse } from '@airlock/contract/api';
import { longestBootMs } from '@airlock/contract/capacity';
import { AppError } from '@airlock/contract/errors';
import { withApi, type Api } from '../lib/api.js';
import { note, print, printJson, table } from '../lib/output.js';
import { readSecret } from '../lib/secret-input.js';

interface Flags {
  json?: boolean;
}

/** A stopped CLI VM is started first. */
const checkTimeoutMs = longestBootMs + 300_000;
const pollMs = 1000;

export function addCredential(program: Command): void {
  const credential = program.command('credential').description('What the vault holds; never the secret itself.');
  credential
    .command('list')
    .description('List your stored credentials and how well they are.')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  airlock credential list')
    .action(list);
  credential
    .command('check <provider>')
    .description('Ask the CLI in your CLI VM whether its login works; starts the VM when it is stopped.')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  airlock credential check codex')
    .action(check);
  credential
    .command('remove <provider>')
    .description('Remove a credential from the vault and from your CLI VM; nobody is logged out at the provider.')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  airlock credential remove codex')
    .action(remove);
  credential
    .command('set-api-key <provider>')
    .description('Store an API key, typed, piped or from a file, once the CLI in your CLI VM accepts it.')
    .option('--file <path>', 'read the key from this file')
    .addHelpText('after', '\nExample:\n  airlock credential set-api-key codex < key.txt')
    .action(setApiKey);
}

const path = (provider: string, verb = ''): string => `/api/credentials/${encodeURIComponent(provider)}${verb}`;

async function list({ json }: Flags): Promise<void> {
  const { credentials } = await withApi((api) => api.call('GET', '/api/credentials', CredentialList));
  if (json) {
    printJson({ credentials });
    return;
  }
  const rows = credentials.map((c) => [
    ...[c.provider, c.method, String(c.generation), c.state, c.health, c.copy],
    ...[c.lastCheckedAt ?? '-', c.expiresAt ?? '-', c.updatedAt],
  ]);
  print(table(['PROVIDER', 'METHOD', 'GENERATION', 'STATE', 'HEALTH', 'COPY', 'CHECKED', 'EXPIRES', 'UPDATED'], rows));
  for (const { provider, copyReason } of credentials)
    if (copyReason !== '') note(`${provider}: the vault may not have its newest form: ${copyReason}`);
}

async function check(provider: string, { json }: Flags): Promise<void> {
  const found = await withApi((api) =>
    api.call('POST', path(provider, '/check'), CredentialSummary, { timeoutMs: checkTimeoutMs }),
  );
  if (json) printJson(found);
  else print(`${found.provider}: ${found.health}. ${found.healthReason}`);
  if (found.health === 'needs_login' || found.health === 'revoked') process.exitCode = 1;
}

async function remove(provider: string, { json }: Flags): Promise<void> {
  const done = await withApi((api) => api.call('DELETE', path(provider), RemoveCredentialResponse));
  if (json) printJson(done);
  else print(`Removed from the vault. ${removal[done.cliVm]}`);
}

const removal = {
  removed: 'Removed from the CLI VM.',
  pending: 'The CLI VM is not running: it is removed there at the next start, before anything else.',
  none: 'No CLI VM holds it.',
} as const;

async function setApiKey(provider: string, { file }: { file?: string }): Promise<void> {
  const key = await readSecret({ prompt: 'API key', file });
  const known = await withApi(async (api) => {
    const { generation } = await api.call('PUT', path(provider, '/api-key'), ApiKeyResponse, { body: { key } });
    note('Taken. The CLI in the CLI VM is asked whether it accepts it …');
    return untilDecided(api, provider, generation);
  });
  print(`${known.provider}: the CLI accepts the API key.`);
}

/** @throws AppError what the attempt failed with */
async function untilDecided(api: Api, provider: string, generation: number): Promise<CredentialSummary> {
  for (;;) {
    const { credentials } = await api.call('GET', '/api/credentials', CredentialList);
    const mine = credentials.filter((one) => one.provider === provider);
    const active = mine.find(({ state, method }) => state === 'active' && method === 'api_key');
    if (active && active.generation >= generation) return active;
    const error = mine.find((one) => one.error !== null)?.error;
    if (error) throw AppError.fromBody(error);
    if (!mine.some(({ state }) => state === 'staged'))
      throw new AppError('vault_conflict', 'The API key was not taken: something newer replaced it meanwhile.');
    await pause(pollMs);
  }
}
