/**
 * The packet filter of one VM's namespace, as text for `nft -f -`. Everything is refused but one TCP way from the guest to its
 * egress gateway and the ways to its own two services, all between the same two addresses. Pure.
 */
import { guestNetwork, guestPorts } from '@airlock/contract/guest';
import { tapNetwork } from '@airlock/contract/privileged';

/**
 * Frames are judged before anything of the kernel's IP has seen them (`netdev`), and what is left once more by `inet`. Nothing is
 * tracked: a guest could fill the table of connections, which is the host's. A fragment has no ports, and is refused.
 */
export function networkRules(): string {
  const { address, gatewayHost, gatewayPort } = guestNetwork;
  const { tap, mac, gatewayMac } = tapNetwork;
  const services = `tcp sport { ${guestPorts.agent}, ${guestPorts.vnc} } tcp flags & (syn | ack) != syn`;
  const toGateway = `ip saddr ${address} ip daddr ${gatewayHost}`;
  const toGuest = `ip saddr ${gatewayHost} ip daddr ${address}`;
  const frame = `ether saddr ${mac} ether daddr ${gatewayMac} ether type ip ip frag-off & 0x3fff == 0 ${toGateway}`;
  return `table netdev airlock {
  chain from_guest {
    type filter hook ingress device "${tap}" priority filter; policy drop;
    ether saddr ${mac} arp operation request arp saddr ether ${mac} arp saddr ip ${address} arp daddr ip ${gatewayHost} accept
    ${frame} tcp dport ${gatewayPort} accept
    ${frame} ${services} accept
    counter drop
  }
}
table inet airlock {
  chain input {
    type filter hook input priority filter; policy drop;
    iifname "${tap}" ${toGateway} tcp dport ${gatewayPort} accept
    iifname "${tap}" ${toGateway} ${services} accept
  }
  chain forward {
    type filter hook forward priority filter; policy drop;
  }
  chain output {
    type filter hook output priority filter; policy drop;
    oifname "${tap}" ${toGuest} tcp sport ${gatewayPort} tcp flags & (syn | ack) != syn accept
    oifname "${tap}" ${toGuest} tcp dport { ${guestPorts.agent}, ${guestPorts.vnc} } accept
  }
}
`;
}
