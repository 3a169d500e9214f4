/**
 * Tries ways out as the gateway of a VM would go them: each host up to its certificate, and the address that a way comes out at.
 * Needs no VM; the upstreams see connections of this host, as they see those of a VM.
 */
import { withDeadline } from '@airlock/contract/deadline';
import { AppError } from '@airlock/contract/errors';
import {
  trialLanes,
  trialMs,
  type NetworkAnswer,
  type NetworkTrial,
  type TrialResult,
} from '@airlock/contract/network-trial';
import { checkOwnAndPublic, findWay, type Policy, type Route, type Way } from './way.js';
import { askExit } from './exit.js';
import { createJudged } from './names.js';
import { openTarget } from './tunnel.js';
import { readAuthorities, shakeHands, TlsTrouble, type Authorities } from './trial-tls.js';

/** For tests: other judgements of names. */
type Names = Partial<Pick<Policy, 'resolve' | 'checkAddress'>>;

interface Ctx {
  trial: NetworkTrial;
  authorities: Authorities;
  policy: Omit<Policy, 'route'>;
}

/** Never throws for what is found. */
export async function tryNetwork(trial: NetworkTrial, names: Names = {}): Promise<NetworkAnswer> {
  const { resolve, checkAddress = checkOwnAndPublic } = names;
  const policy = { resolve, checkAddress, judged: createJudged(resolve) };
  const ctx: Ctx = { trial, policy, authorities: readAuthorities(trial.extraCaPem) };
  const answers: NetworkAnswer = [];
  const left = trial.upstreams.entries();
  const lane = async (): Promise<void> => {
    for (const [at, upstreamUrl] of left) answers[at] = await tryUpstreamOf(ctx, upstreamUrl);
  };
  await Promise.all(Array.from({ length: trialLanes }, lane));
  return answers;
}

async function tryUpstreamOf(ctx: Ctx, upstreamUrl: string | null): Promise<NetworkAnswer[number]> {
  const { hosts, exitUrl, directHosts, allowedPrivateHosts } = ctx.trial;
  const route: Route = { upstreamUrl, directHosts, allowedPrivateHosts };
  const [exit, ...found] = await Promise.all([
    exitUrl === null
      ? null
      : told(ctx, route, new URL(exitUrl), (way, signal) => askExit(way, new URL(exitUrl), ctx.authorities, signal)),
    ...hosts.map(async (host) => ({
      host,
      ...(await told(ctx, route, new URL(`https://${host}`), (...how) => tryHost(ctx, ...how))),
    })),
  ]);
  return { exit: exit ?? null, hosts: found };
}

async function tryHost({ authorities }: Ctx, way: Way, signal: AbortSignal): Promise<TrialResult> {
  const { host } = way.target;
  const { socket, middlebox } = await shakeHands(await openTarget(way, signal), host, authorities, signal);
  socket.destroy();
  if (middlebox === null) return { result: 'ok', found: 'reached', todo: '' };
  const found = `reached; ${middlebox}, by AIRLOCK_EXTRA_CA, opens TLS on the way and reads along`;
  return { result: 'middlebox', found, todo: '' };
}

/** Does `attempt` by the way of `url`; what goes wrong is a result. */
async function told(
  { policy }: Ctx,
  route: Route,
  url: URL,
  attempt: (way: Way, signal: AbortSignal) => Promise<TrialResult>,
): Promise<TrialResult> {
  const signal = withDeadline(new AbortController().signal, trialMs);
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  try {
    return await attempt(await findWay('CONNECT', `${url.hostname}:${port}`, { ...policy, route }), signal);
  } catch (error) {
    return resultOf(error, signal);
  }
}

function resultOf(error: unknown, signal: AbortSignal): TrialResult {
  if (error instanceof TlsTrouble) return { result: error.result, found: error.message, todo: error.todo };
  const { code, message: found, hint: todo } = AppError.from(error);
  if (code === 'upstream_auth_failed' || code === 'upstream_unreachable') return { result: code, found, todo };
  if (signal.aborted) return { result: 'timeout', found: `no answer within ${trialMs / 1000} s`, todo };
  if (code === 'egress_refused' || code === 'egress_failed' || code === 'not_found')
    return { result: code, found, todo };
  throw error;
}
