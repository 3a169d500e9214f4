/**
 * Which addresses a VM may never reach, but for exceptions: everything that is not a public unicast address; and what lists of hosts name.
 * Pure tables.
 */
import { BlockList, isIP } from 'node:net';

type Net = readonly [string, number];

/** Networks that an exception may open: those of companies and homes, and the one that false answers of resolvers come from. */
const privateV4: readonly Net[] = [
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
];

/** With those, the IANA special-purpose IPv4 ranges that are not globally reachable, and multicast. */
const refusedV4: readonly Net[] = [
  ...privateV4,
  ['0.0.0.0', 8],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
];

/** Of IPv6 only 2000::/3 is public; these parts of it are not, or carry an IPv4 address inside. */
const refusedV6: readonly Net[] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
];

/** The host services of clouds, on addresses that look public or private: Alibaba's, Azure's, Amazon's, Google's. */
const metadata: readonly Net[] = [
  ['100.100.100.200', 32],
  ['168.63.129.16', 32],
  ['fd00:ec2::', 32],
  ['fd20:ce::', 32],
];

const refused = blockList([...refusedV4, ...refusedV6, ...metadata]);
const privateNets = blockList([...privateV4, ['fc00::', 7]]);
const cloudServices = blockList(metadata);
const publicV6 = blockList([['2000::', 3]]);
const nat64 = blockList([['64:ff9b::', 96]]);
const falseAnswers = blockList([['198.18.0.0', 15]]);

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4';
}

function blockList(nets: readonly Net[]): BlockList {
  const list = new BlockList();
  for (const [net, prefix] of nets) list.addSubnet(net, prefix, familyOf(net));
  return list;
}

/** Version of an IP address; 0 for what is none, or has a zone, which only a link has. */
const versionOf = (address: string): number => (address.includes('%') ? 0 : isIP(address));
const isIn = (list: BlockList, address: string): boolean => list.check(address, familyOf(address));

/** The address that is reached in the end: the IPv4 one inside a NAT64 address, or `address` itself. */
export function reached(address: string): string {
  if (versionOf(address) !== 6 || !isIn(nat64, address)) return address;
  const groups = new URL(`http://[${address}]`).hostname.slice('[64:ff9b::'.length, -1).split(':');
  const [high = 0, low = 0] = ['0', ...groups].slice(-2).map((group) => parseInt(group || '0', 16));
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

/** True for an IP address (no brackets, no other notation) that is reachable on the public Internet. */
export function isPublicAddress(address: string): boolean {
  const end = reached(address);
  if (isIP(end) === 4) return !isIn(refused, end);
  // Mapped (::ffff:a.b.c.d), link-local, unique local and multicast lie outside 2000::/3.
  return versionOf(end) === 6 && isIn(publicV6, end) && !isIn(refused, end);
}

/** True for an address of a private network: neither of one host alone (loopback, link-local), nor of a cloud's host service. */
export function isPrivateAddress(address: string): boolean {
  const end = reached(address);
  return versionOf(end) !== 0 && isIn(privateNets, end) && !isIn(cloudServices, end);
}

/**
 * True for an address out of 198.18.0.0/15: resolvers of hosts that reach the world only through a proxy make such ones up for every
 * name, so that they say nothing of where it leads.
 */
export function isFalseAnswer(address: string): boolean {
  return isIP(address) === 4 && isIn(falseAnswers, address);
}

export const asException = 'If VMs are to reach it, name the host in AIRLOCK_ALLOWED_PRIVATE_HOSTS.';

/** What whoever runs this Airlock can do about an address that VMs are refused; empty where nothing helps. `isLiteral`: it stands for no name. */
export function wayOut(address: string, isLiteral = false): string {
  if (isFalseAnswer(address) && !isLiteral) {
    return (
      'This host gets made-up addresses (198.18.0.0/15) for names, as where a proxy is the way out: set AIRLOCK_UPSTREAM_PROXY to the HTTP ' +
      'port of that proxy, without the host in AIRLOCK_DIRECT_HOSTS; or name the host in AIRLOCK_ALLOWED_PRIVATE_HOSTS.'
    );
  }
  return isPrivateAddress(address) ? asException : '';
}

/** True when `host` is listed, exactly or by a `.suffix` (which matches neither the bare domain nor an address). */
export function isListed(host: string, list: readonly string[]): boolean {
  return list.some((entry) => (entry.startsWith('.') && isIP(host) === 0 ? host.endsWith(entry) : host === entry));
}
