/** `airlock up`: host check, golden image, controller in the foreground. `npm run up` comes here after the installation. */
import { mkdir } from 'node:fs/promises';
import type { Command } from 'commander';
import { CreateLoginTokenResponse } from '@airlock/contract/login';
import { AppError } from '@airlock/contract/errors';
import { readSettings, type Settings } from '@airlock/contract/settings';
import { whyNotWritable } from '@airlock/contract/writable';
import { runAttached } from '../lib/attached.js';
import { programs } from '../lib/checkout.js';
import { note, print } from '../lib/output.js';
import { withApi } from '../lib/api.js';
import { untilInterrupted } from '../lib/signals.js';
import { describeFindings } from '../doctor/doctor.js';
import { gatherFacts, type HostFacts } from '../doctor/facts.js';
import { buildOutside, choose, judge, ratherNotRoot } from '../doctor/findings.js';
import { runController } from './controller-process.js';

export function addUp(program: Command): void {
  program
    .command('up')
    .description('Check this host, build the golden image if none is current, run the controller until Ctrl-C.')
    .option('--stop-vms', 'end all VMs at the end too; by default they stay and the next start adopts them')
    .addHelpText('after', '\nExample:\n  airlock up --stop-vms')
    .action(async ({ stopVms = false }: { stopVms?: boolean }) => up(readSettings(), stopVms));
}

async function up(settings: Settings, stopVms: boolean): Promise<void> {
  const refused = await whyNotWritable(settings.AIRLOCK_HOME, 'AIRLOCK_HOME');
  if (refused) throw refused;
  await mkdir(settings.AIRLOCK_HOME, { recursive: true, mode: 0o700 });
  const facts = await gatherFacts(settings);
  if (facts.controller?.status) {
    await announceRunning(facts.controller);
    return;
  }
  refuseIfBlocked(facts, settings);
  await buildImage(facts);
  note('Starting the controller …');
  await untilInterrupted((stop) =>
    runController({
      program: programs.controller,
      home: settings.AIRLOCK_HOME,
      stop,
      beforeStop: async () => {
        note(stopVms ? '\nStopping VMs and controller …' : '\nStopping the controller; VMs stay.');
        if (stopVms) await withApi((api) => api.call('POST', '/api/system/stop-vms', null, { timeoutMs: 120_000 }));
      },
      onReady: (line) => {
        print(line);
        note(`Ctrl-C stops the controller${stopVms ? ' and the VMs' : '; VMs stay for the next start'}.`);
      },
    }),
  );
}

async function announceRunning({ pid }: { pid: number }): Promise<void> {
  const { url } = await withApi((api) => api.call('POST', '/api/login-tokens', CreateLoginTokenResponse, { body: {} }));
  note(`The controller is running already, pid ${pid}.`);
  print(`Airlock is ready: ${url}`);
}

function refuseIfBlocked(facts: HostFacts, settings: Settings): void {
  const findings = judge(facts, settings);
  const blocking = findings.filter(({ status }) => status === 'blocks');
  const { accel, accelReason } = choose(facts, settings);
  note(`Host: ${facts.os.name}, ${accel} (${accelReason})`);
  if (facts.uid === 0) note(`Running as root. ${ratherNotRoot}`);
  if (blocking.length === 0) return;
  throw new AppError('host_unsupported', `Airlock cannot run here yet.\n${describeFindings(blocking)}`, {
    hint: '`npx airlock doctor` shows everything that was found.',
  });
}

/** The builder itself decides whether the current image is still the right one, and then returns at once. */
async function buildImage({ noNewPrivileges }: HostFacts): Promise<void> {
  const code = await runAttached(process.execPath, [programs.imageBuilder, 'build']);
  if (code === 0) return;
  throw new AppError(
    'image_build_failed',
    `The image builder ended with exit code ${code}; its own message is above.`,
    {
      hint: noNewPrivileges ? buildOutside : '',
    },
  );
}
