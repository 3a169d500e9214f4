/** Trying the ways that VMs go out by, without a VM: what `airlock-runner network` reads from standard input, and what it prints. */
import { z } from 'zod';
import { plainEnvironment } from './environment.js';
import { run } from './process.js';
import { receivedText } from './received.js';
import { DirectHost, UpstreamUrl } from './runner.js';

export const NetworkTrial = z.strictObject({
  /** The different upstreams of users; null: targets are dialled directly. */
  upstreams: z.array(UpstreamUrl.nullable()).max(65_535),
  hosts: z.array(z.string().min(1).max(253)).max(1024),
  /** Answers the address that it is asked from. */
  exitUrl: z.url({ protocol: /^https?$/ }).nullable(),
  directHosts: z.array(DirectHost).max(1024),
  allowedPrivateHosts: z.array(DirectHost).max(1024),
  extraCaPem: z.string().nullable(),
});
export type NetworkTrial = z.infer<typeof NetworkTrial>;

/** ok and middlebox: reached. middlebox: somebody between reads along, by an authority that AIRLOCK_EXTRA_CA names. */
export const TrialResult = z.strictObject({
  result: z.enum([
    'ok',
    'middlebox',
    'upstream_auth_failed',
    'upstream_unreachable',
    'egress_refused',
    'egress_failed',
    'not_found',
    'tls_untrusted',
    'tls_failed',
    'timeout',
    'no_address',
  ]),
  /** What was found, as a sentence; of `exit` the address. */
  found: receivedText(500),
  /** What to do about it; empty where there is nothing. */
  todo: receivedText(500),
});
export type TrialResult = z.infer<typeof TrialResult>;

/** One for each upstream, in the order of those that were asked for. */
export const NetworkAnswer = z.array(
  z.strictObject({
    hosts: z.array(TrialResult.extend({ host: z.string() })),
    exit: TrialResult.nullable(),
  }),
);
export type NetworkAnswer = z.infer<typeof NetworkAnswer>;

/** Milliseconds for one host; and how many upstreams are tried at a time. */
export const trialMs = 15_000;
export const trialLanes = 4;

/** @throws AppError command_failed */
export async function runNetworkTrial(program: string, trial: NetworkTrial): Promise<NetworkAnswer> {
  const rounds = Math.ceil(trial.upstreams.length / trialLanes);
  const { stdout } = await run(process.execPath, [program, 'network'], {
    ...{ env: plainEnvironment(), cleanEnv: true, timeoutMs: 20_000 + rounds * trialMs },
    input: JSON.stringify(trial),
  });
  return NetworkAnswer.parse(JSON.parse(stdout));
}
