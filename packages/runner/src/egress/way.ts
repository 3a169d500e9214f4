/** Where a request may go, and by which way: the egress policy, applied to names, and to every address that is known of them. */
import type { LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { networkInterfaces } from 'node:os';
import { isFalseAnswer, isListed, reached } from '@airlock/contract/address';
import { AppError } from '@airlock/contract/errors';
import { resolveToDial, type Judged, type Resolve } from './names.js';
import { checkAddress, checkPrivate, checkTarget, parseTarget, refused, type Target } from './target.js';

/** How targets are reached. */
export interface Route {
  /** `http://USER:PASS@HOST:PORT`; null: targets are dialled directly. */
  upstreamUrl: string | null;
  directHosts: readonly string[];
  /** Hosts (exact, or `.suffix`) that may have local names and addresses of private networks. */
  allowedPrivateHosts?: readonly string[] | undefined;
}

/** The way of one request, judged. */
export interface Way {
  target: Target;
  /** The upstream that is asked for it; null where it is dialled, at the addresses that `lookup` gives. */
  upstreamUrl: string | null;
  lookup?: LookupFunction;
  /** The route that this was decided by. */
  route: Route;
}

/** What the judgement of a way takes. */
export interface Policy {
  route: Route;
  /** For hosts that are dialled; the system's resolver by default. */
  resolve: Resolve | undefined;
  /** For hosts that an upstream is asked for. */
  judged: Judged;
  /** Judges an address of a host that is no exception. */
  checkAddress: typeof checkAddress;
}

/** @throws AppError invalid_request, egress_refused; not_found when a name that is to be dialled has no address */
export async function findWay(method: string, url: string, policy: Policy): Promise<Way> {
  const { route, resolve, judged } = policy;
  const { upstreamUrl, directHosts, allowedPrivateHosts = [] } = route;
  const target = parseTarget(method, url);
  const { host, port } = target;
  checkTarget(target, allowedPrivateHosts);
  const judge = isListed(host, allowedPrivateHosts) ? checkPrivate : policy.checkAddress;
  if (upstreamUrl !== null && !isListed(host, directHosts)) {
    // An upstream looks names up by itself, and is asked by name. What this host does not know decides nothing: such hosts reach the
    // world only through it.
    for (const address of await judged(host)) {
      if (isIP(host) !== 0 || !isFalseAnswer(address)) judge(address, host, port);
    }
    return { target, upstreamUrl, route };
  }
  // What is dialled is exactly what was judged, and let through.
  const addresses = permitted(await resolveToDial(host, resolve), (address) => judge(address, host, port));
  return { target, upstreamUrl: null, lookup: pinned(addresses), route };
}

/**
 * Those of the addresses that may be reached: one that may not says nothing of the others. Of several refusals the one that knows a way
 * out is told.
 * @throws AppError egress_refused when none is left
 */
function permitted(addresses: readonly LookupAddress[], judge: (address: string) => void): LookupAddress[] {
  const refusals: AppError[] = [];
  const open = addresses.filter(({ address }) => {
    try {
      judge(address);
      return true;
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'egress_refused') throw error;
      refusals.push(error);
      return false;
    }
  });
  const refusal = refusals.find(({ hint }) => hint !== '') ?? refusals[0];
  if (open.length === 0 && refusal) throw refusal;
  return open;
}

/** The policy, and this host's own addresses, which may be public ones. */
export function checkOwnAndPublic(address: string, host: string, port: number, own = networkInterfaces()): void {
  checkAddress(address, host, port);
  const end = reached(address);
  const isOwn = Object.values(own).some((list) => list?.some((entry) => entry.address === end));
  if (isOwn) throw refused(host, port, `${address} is this host`);
}

/** A resolver that knows one answer. */
function pinned(addresses: readonly LookupAddress[]): LookupFunction {
  return ((_host: string, options: unknown, callback: (error: null, ...answer: unknown[]) => void) => {
    const all = typeof options === 'object' && options !== null && 'all' in options && options.all === true;
    if (all) callback(null, addresses);
    else callback(null, addresses[0]?.address, addresses[0]?.family);
  }) as unknown as LookupFunction;
}
