/** Which addresses and names a VM may never reach: everything that is not a public unicast address. Pure tables. */
import { BlockList, isIP } from 'node:net';

/** IANA special-purpose IPv4 ranges that are not globally reachable, and multicast. */
const refusedV4: readonly [string, number][] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
  // Alibaba's and Azure's host services answer on addresses that look public.
  ['100.100.100.200', 32],
  ['168.63.129.16', 32],
];

/** Of IPv6 only 2000::/3 is public; these parts of it are not, or carry an IPv4 address inside. */
const refusedV6: readonly [string, number][] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
];

const v4 = new BlockList();
for (const [net, prefix] of refusedV4) v4.addSubnet(net, prefix, 'ipv4');
const v6 = new BlockList();
for (const [net, prefix] of refusedV6) v6.addSubnet(net, prefix, 'ipv6');
const publicV6 = new BlockList();
publicV6.addSubnet('2000::', 3, 'ipv6');

/** True for an IP address (no brackets, no other notation) that is reachable on the public Internet. */
export function isPublicAddress(address: string): boolean {
  const version = isIP(address);
  if (version === 4) return !v4.check(address, 'ipv4');
  // Mapped (::ffff:a.b.c.d), NAT64 (64:ff9b::), link-local, unique local and multicast lie outside 2000::/3.
  return version === 6 && publicV6.check(address, 'ipv6') && !v6.check(address, 'ipv6');
}

const refusedName =
  /^(?:.*\.)?(?:localhost|localdomain|local|internal|intranet|lan|home\.arpa|in-addr\.arpa|ip6\.arpa|onion)$/;

/** True for a name that only means something on this host or in its private network. */
export function isLocalName(name: string): boolean {
  // A name without a dot is completed by the host's search domains.
  return refusedName.test(name) || !name.includes('.');
}
