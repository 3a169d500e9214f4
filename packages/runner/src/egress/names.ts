/**
 * What this host finds out about names. Whoever dials directly needs an answer; whoever asks an upstream, which looks names up by
 * itself, only judges what there is in time.
 */
import { lookup as systemLookup, promises, type LookupAddress } from 'node:dns';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { promisify } from 'node:util';
import { inTime } from '@airlock/contract/deadline';
import { AppError } from '@airlock/contract/errors';

/** All addresses of a name. */
export type Resolve = (host: string) => Promise<LookupAddress[]>;

/** Milliseconds that a guest waits for a name. */
const directMs = 10_000;
const judgedMs = 2000;
/** Milliseconds for which an answer, or that there is none, is kept for judging; and how many are. */
const keptMs = 30_000;
const keptNames = 500;

const resolveAll: Resolve = (host) => promisify(systemLookup)(host, { all: true });

/** All addresses of a host that is to be dialled. @throws AppError not_found */
export async function resolveToDial(host: string, resolve: Resolve = resolveAll): Promise<LookupAddress[]> {
  const family = isIP(host);
  if (family !== 0) return [{ address: host, family }];
  const missing = (cause?: unknown): AppError =>
    new AppError('not_found', `The name ${host} cannot be resolved.`, { cause });
  try {
    return await inTime(resolve(host), directMs, missing);
  } catch (cause) {
    throw cause instanceof AppError ? cause : missing(cause);
  }
}

/** Finds the addresses of names to judge: none for what cannot be resolved, or not in time. */
export type Judged = (host: string) => Promise<string[]>;

/** Each look-up goes its own way and takes its own time: a name whose server is silent keeps no other from being judged. */
export function createJudged(resolve?: Resolve): Judged {
  const kept = new Map<string, { until: number; addresses: Promise<string[]> }>();
  return (host) => {
    if (isIP(host) !== 0) return Promise.resolve([host]);
    const before = kept.get(host);
    if (before && before.until > Date.now()) return before.addresses;
    const addresses = resolve ? resolveInTime(host, resolve) : ask(host);
    kept.delete(host);
    kept.set(host, { until: Date.now() + keptMs, addresses });
    for (const [oldest] of kept) {
      if (kept.size <= keptNames) break;
      kept.delete(oldest);
    }
    return addresses;
  };
}

async function resolveInTime(host: string, resolve: Resolve): Promise<string[]> {
  const late = (): Error => new Error('late');
  const found = await inTime(resolve(host), judgedMs, late).catch((): LookupAddress[] => []);
  return found.map(({ address }) => address);
}

/**
 * By the hosts file and the name servers of this host, or by `servers` (`address:port`). What one of them, or one question, has been
 * answered counts when another is late.
 */
export async function ask(host: string, servers?: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  const resolver = new promises.Resolver({ timeout: judgedMs, tries: 1 });
  if (servers) resolver.setServers(servers);
  const late = setTimeout(() => resolver.cancel(), judgedMs);
  const asked = [resolver.resolve4(host), resolver.resolve6(host), hostsFile(host)];
  await Promise.allSettled(asked.map(async (some) => found.push(...(await some))));
  clearTimeout(late);
  return found;
}

async function hostsFile(host: string): Promise<string[]> {
  const lines = (await readFile('/etc/hosts', 'utf8')).split('\n');
  return lines.flatMap((line) => {
    const [address = '', ...names] = line.replace(/#.*/, '').trim().toLowerCase().split(/\s+/);
    return names.includes(host) && isIP(address) !== 0 ? [address] : [];
  });
}
