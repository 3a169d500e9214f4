/** `airlock doctor --network`: the ways by which users' VMs go out, each tried as the egress gateway goes it, and what they are worth. */
import { UserList, type ListedUser } from '@airlock/contract/api';
import { readExtraCa } from '@airlock/contract/extra-ca';
import { runNetworkTrial, type NetworkAnswer, type TrialResult } from '@airlock/contract/network-trial';
import { providers } from '@airlock/contract/provider/registry';
import { upstreamUrlFor, type Settings } from '@airlock/contract/settings';
import { connect } from '../lib/api.js';
import { programs } from '../lib/checkout.js';
import { note, table } from '../lib/output.js';

type HostResult = TrialResult & { host: string; providers: string[] };

/** One way out, and who goes by it. */
export interface WayReport {
  /** Names; null: everybody, because the port of a user changes nothing. */
  user: string | null;
  /** `host:port` of the upstream proxy, without user and password; null: directly. */
  upstream: string | null;
  hosts: HostResult[];
  /** The address that this way comes out at; null where no setting says whom to ask. */
  exit: TrialResult | null;
}

/**
 * Without a controller nobody knows the users: the first port is tried then.
 * @throws AppError config_invalid when AIRLOCK_EXTRA_CA cannot be used; unauthenticated and the like, when the controller refuses
 */
export async function tryWays(settings: Settings): Promise<WayReport[]> {
  const { AIRLOCK_EXTRA_CA: extraCa, AIRLOCK_DIRECT_HOSTS: directHosts } = settings;
  const hosts = hostsOfProviders();
  const ways = await findWays(settings);
  const answers = await runNetworkTrial(programs.runner, {
    upstreams: ways.map(({ url }) => url),
    hosts: [...hosts.keys()],
    exitUrl: settings.AIRLOCK_EXIT_URL ?? null,
    directHosts,
    allowedPrivateHosts: settings.AIRLOCK_ALLOWED_PRIVATE_HOSTS,
    extraCaPem: extraCa === undefined ? null : (await readExtraCa(extraCa)).pem,
  });
  const reportOf = ({ user, url }: (typeof ways)[number], found: NetworkAnswer[number]): WayReport => ({
    user,
    upstream: url === null ? null : addressOf(url),
    hosts: found.hosts.map((one) => ({ ...one, providers: hosts.get(one.host) ?? [] })),
    exit: found.exit,
  });
  return answers.flatMap((found, at) => (ways[at] ? [reportOf(ways[at], found)] : []));
}

/** By host, the providers whose sign-in or CLI needs it. */
function hostsOfProviders(): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { name, login } of Object.values(providers)) {
    for (const host of login?.hosts ?? []) found.set(host, [...(found.get(host) ?? []), name]);
  }
  return found;
}

async function findWays(settings: Settings): Promise<{ user: string | null; url: string | null }[]> {
  const { AIRLOCK_PROXY_PORT_BASE: base } = settings;
  const first = upstreamUrlFor(settings, base);
  if (first === null || first === upstreamUrlFor(settings, base - 1)) return [{ user: null, url: first }];
  const users = await usersOf(settings.AIRLOCK_HOME);
  if (users === null) {
    note('No controller runs, so nobody knows the users: only the first port is tried.');
    return [{ user: null, url: first }];
  }
  return users.map(({ name, proxyPort }) => ({ user: name, url: upstreamUrlFor(settings, proxyPort) }));
}

/** Null where no controller runs. */
async function usersOf(home: string): Promise<ListedUser[] | null> {
  const api = await connect(home).catch(ifNone);
  if (api === null) return null;
  try {
    return (await api.call('GET', '/api/users', UserList)).users;
  } catch (error) {
    return ifNone(error);
  } finally {
    await api.close();
  }
}

function ifNone(error: unknown): null {
  if ((error as { code?: unknown }).code === 'controller_unreachable') return null;
  throw error;
}

function addressOf(url: string): string {
  const { hostname, port } = new URL(url);
  return `${hostname}:${port || '80'}`;
}

const isGood = ({ result }: TrialResult): boolean => result === 'ok' || result === 'middlebox';

/** Whether a way lets everything through. */
export const isWay = ({ hosts, exit }: WayReport): boolean => [...hosts, ...(exit ? [exit] : [])].every(isGood);

/** The ways as a table, hosts of which the same was found in one row; below it what to do. */
export function describeWays(ways: readonly WayReport[]): string {
  const rows = ways.flatMap((way) => {
    const who = [way.user ?? '(all)', way.upstream ?? 'none'];
    const findings = [...new Set(way.hosts.map(({ found }) => found))];
    const exit = way.exit ? [[...who, '-', 'exit address', way.exit.result, way.exit.found]] : [];
    const alike = findings.map((found) => way.hosts.filter((host) => host.found === found));
    return [...alike.map((hosts) => [...who, ...rowOf(hosts, way.hosts.length)]), ...exit];
  });
  const all = ways.flatMap(({ hosts, exit }) => (exit ? [...hosts, exit] : hosts));
  const todo = [...new Set(all.map((one) => one.todo).filter(Boolean))].map((text) => `→ ${text}`);
  const verdict = ways.every(isWay) ? 'Every way lets everything through.' : 'Not every way lets everything through.';
  const head = ['USER', 'UPSTREAM', 'PROVIDER', 'HOST', 'RESULT', 'FOUND'];
  return [table(head, rows), '', ...todo, verdict].join('\n');
}

function rowOf(hosts: readonly HostResult[], ofAll: number): string[] {
  const names = [...new Set(hosts.flatMap((host) => host.providers))];
  const which = hosts.length === ofAll && ofAll > 1 ? `all ${ofAll}` : hosts.map(({ host }) => host).join(', ');
  return [hosts.length === ofAll ? 'all' : names.join(', '), which, hosts[0]?.result ?? '', hosts[0]?.found ?? ''];
}
