/** `airlock vault …` (administrators): the keys that everything is sealed under, and backups. */
import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { BackupResponse, RestoreResponse, VaultStatus } from '@airlock/contract/api';
import { replaceFile } from '@airlock/contract/file';
import { proveFor, withApi } from '../lib/api.js';
import { note, print, printJson, table } from '../lib/output.js';
import { readPassphrase } from '../lib/secret-input.js';

interface Flags {
  json?: boolean;
}
interface PassphraseFlags extends Flags {
  passphraseFile?: string;
}

/** Sealing under a passphrase is slow on purpose; a rotation visits every row. */
const slowMs = 300_000;

export function addVault(program: Command): void {
  const vault = program.command('vault').description('The keys that secrets are sealed under, and backups.');
  vault
    .command('status')
    .description('Show which vault keys are in use, and for how much.')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  airlock vault status')
    .action(status);
  vault
    .command('rotate')
    .description('Seal everything again under a new vault key and retire the old one; may be interrupted.')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  airlock vault rotate')
    .action(rotate);
  vault
    .command('backup <file>')
    .description(
      'Write all credentials and home keys to a file, sealed under a passphrase. Only for who can read the vault key.',
    )
    .option('--passphrase-file <path>', 'read the passphrase from this file; else it is typed, or piped')
    .addHelpText('after', '\nExample:\n  airlock vault backup airlock-backup.jwe')
    .action(backup);
  vault
    .command('restore <file>')
    .description(
      'Bring back from a backup what is missing here; newer things are left alone. Ends with 1 when something was left out.',
    )
    .option('--passphrase-file <path>', 'read the passphrase from this file; else it is typed, or piped')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  airlock vault restore airlock-backup.jwe')
    .action(restore);
}

async function status({ json }: Flags): Promise<void> {
  show(await withApi((api) => api.call('GET', '/api/vault', VaultStatus)), json);
}

async function rotate({ json }: Flags): Promise<void> {
  show(await withApi((api) => api.call('POST', '/api/vault/rotate', VaultStatus, { timeoutMs: slowMs })), json);
}

function show(found: VaultStatus, json: boolean | undefined): void {
  if (json) {
    printJson(found);
    return;
  }
  print(`key in use    ${found.keyId}`);
  print(`old keys      ${found.oldKeyIds.join(', ') || 'none'}`);
  print(`sealed        ${found.sealed}, of them ${found.underOldKeys} under old keys`);
  if (found.lost > 0) print(`lost          ${found.lost}: sealed under a key that is not here; restore a backup`);
}

async function backup(file: string, { passphraseFile }: PassphraseFlags): Promise<void> {
  const passphrase = await readPassphrase(passphraseFile, true);
  const made = await withApi(async (api) => {
    const body = { passphrase, keyProof: await proveFor(api, 'POST /api/vault/backup') };
    return api.call('POST', '/api/vault/backup', BackupResponse, { body, timeoutMs: slowMs });
  });
  await replaceFile(file, `${made.backup}\n`);
  print(`${file}: ${made.credentials} credentials, ${made.homeKeys} home keys.`);
  if (made.unconfirmed > 0)
    note(
      `${made.unconfirmed} of them may be newer on the disk of a CLI VM that ended without a last look, or cannot be looked into: airlock credential list says why. Start it, then back up again.`,
    );
}

async function restore(file: string, { passphraseFile, json }: PassphraseFlags): Promise<void> {
  const text = await readFile(file, 'utf8');
  const passphrase = await readPassphrase(passphraseFile, false);
  const done = await withApi(async (api) => {
    const body = { passphrase, backup: text, keyProof: await proveFor(api, 'POST /api/vault/restore') };
    return api.call('POST', '/api/vault/restore', RestoreResponse, { body, timeoutMs: slowMs });
  });
  if (json) printJson(done);
  else
    print(
      table(
        ['WHAT', 'RESULT'],
        done.entries.map(({ name, result, reason }) => [
          name,
          [meaning[result], reason ?? ''].filter(Boolean).join(' '),
        ]),
      ),
    );
  const leftOut = done.entries.filter(({ result }) => result === 'left_out');
  if (leftOut.length === 0) return;
  note(
    `${leftOut.length} of ${done.entries.length} could not be restored: ${leftOut.map(({ name }) => name).join(', ')}.`,
  );
  process.exitCode = 1;
}

const meaning: Record<RestoreResponse['entries'][number]['result'], string> = {
  restored: 'restored',
  kept: 'kept: the same is here',
  newer: 'left alone: what is here is newer',
  absent: 'nothing here that it belongs to',
  left_out: 'left out:',
};
