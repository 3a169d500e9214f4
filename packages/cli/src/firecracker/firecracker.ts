/** `airlock firecracker …`: brings Firecracker to where the privileged helper runs it, and has it tried before VMs are started with it. */
import { rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { readGate } from '@airlock/contract/driver-gate';
import { AppError } from '@airlock/contract/errors';
import { nullIfAbsent } from '@airlock/contract/file';
import { homePaths } from '@airlock/contract/home';
import { helperPrograms } from '@airlock/contract/privileged';
import { runProbe } from '@airlock/contract/run-probe';
import { readSettings } from '@airlock/contract/settings';
import { runAttached } from '../lib/attached.js';
import { programs } from '../lib/checkout.js';
import { note, print, printJson } from '../lib/output.js';
import { untilInterrupted } from '../lib/signals.js';
import { installedPrograms, installRelease, newestRelease } from './release.js';

const driver = 'firecracker';

export function addFirecracker(program: Command): void {
  const noun = program.command(driver).description('Install Firecracker, and try it before VMs are started with it.');
  noun
    .command('install')
    .description(`Bring Firecracker to ${helperPrograms}, as root, and boot the current image with it.`)
    .option('--from <file>', 'a release that was fetched by other means; its address otherwise: v1.16.1 at GitHub')
    .option('--sha256 <sum>', 'what its SHA-256 has to be; that of v1.16.1 otherwise')
    .addHelpText('after', '\nExample:\n  airlock firecracker install --from firecracker-v1.16.1-x86_64.tgz')
    .action(install);
  noun
    .command('gate')
    .description(
      'Boot the current image with Firecracker to its desktop, and keep what was seen. Exit code 1 when it fails.',
    )
    .addHelpText(
      'after',
      '\nAgain after each new image, Firecracker or kernel.\n\nExample:\n  airlock firecracker gate',
    )
    .action(async () => void (process.exitCode = await runGate()));
  noun
    .command('status')
    .description('Say which Firecracker is here, and what its gate has seen.')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  airlock firecracker status')
    .action(status);
  noun
    .command('remove')
    .description(
      'Remove what `install` has brought, as root. VMs that run keep it; the next ones are started with QEMU.',
    )
    .addHelpText('after', '\nExample:\n  airlock firecracker remove')
    .action(remove);
}

interface InstallArguments {
  from?: string;
  sha256?: string;
}

async function install({ from, sha256 = newestRelease.sha256 }: InstallArguments): Promise<void> {
  if (!/^[0-9a-f]{64}$/i.test(sha256)) {
    throw new AppError('invalid_request', '--sha256 takes 64 hexadecimal digits.', {
      hint: 'As `sha256sum` prints it.',
    });
  }
  const source = { from: from === undefined ? newestRelease.url : resolve(from), sha256: sha256.toLowerCase() };
  const version = await untilInterrupted((signal) =>
    installRelease({ ...source, folder: helperPrograms, note, signal }),
  );
  print(`Firecracker ${version} is in ${helperPrograms}. Its gate boots the current image now.`);
  process.exitCode = await runGate();
  if (process.exitCode === 0) print('The next start of the controller takes it: systemctl restart airlock.');
}

/** As whoever the home belongs to, whose VMs the privileged helper starts; root becomes that user for it. */
async function runGate(): Promise<number> {
  const { AIRLOCK_HOME: home } = readSettings();
  const command = [process.execPath, programs.imageBuilder, 'gate', driver] as const;
  const owner = await stat(home).catch(nullIfAbsent);
  if (owner === null || owner.uid === 0 || process.getuid?.() !== 0) return runAttached(command[0], command.slice(1));
  return runAttached('setpriv', [
    ...[`--reuid=${owner.uid}`, `--regid=${owner.gid}`, '--init-groups', '--'],
    ...command,
  ]);
}

async function status({ json = false }: { json?: boolean }): Promise<void> {
  const { AIRLOCK_HOME: home } = readSettings();
  const probe = await runProbe({ program: programs.runner, cache: homePaths(home).hostProbe });
  const found = probe.drivers.find(({ name }) => name === driver);
  const gate = found?.ok === true ? await readGate(home, found) : null;
  if (json) return printJson({ path: found?.path ?? null, version: found?.version ?? null, gate });
  print(found?.reason ?? 'This version of Airlock has no such driver.');
  if (gate) print(gate.reason);
}

async function remove(): Promise<void> {
  for (const program of installedPrograms) {
    const path = join(helperPrograms, program);
    await rm(path, { force: true }).catch((cause: Error) => {
      throw new AppError('not_writable', `${path} cannot be removed: ${cause.message}`, {
        hint: 'Run this as root.',
        cause,
      });
    });
  }
  print(`There is no Firecracker in ${helperPrograms} any more.`);
}
