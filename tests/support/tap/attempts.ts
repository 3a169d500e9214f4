/** What a guest could try in the network of a VM, as raw frames. */
import { guestNetwork } from '@airlock/contract/guest';
import { tapNetwork } from '@airlock/contract/privileged';
import { arp, ethernet, flags, ip4, ip6, ping, tcp, udp } from './frame.js';

const { gatewayPort } = guestNetwork;
const [guest, gateway]: [string, string] = [guestNetwork.address, guestNetwork.gatewayHost];
const [mac, gatewayMac]: [string, string] = [tapNetwork.mac, tapNetwork.gatewayMac];
const everybody = 'ff:ff:ff:ff:ff:ff';
const otherMac = '52:54:00:12:34:57';
const nobody = '00:00:00:00:00:00';
const linkLocal = 'fe80000000000000505400fffe123456';
const allNodes = 'ff020000000000000000000000000001';

const framed = (payload: Buffer, type = 0x0800): Buffer => ethernet(gatewayMac, mac, type, payload);
export const tcpTo = (to: string, port: number, flag: number = flags.syn, from = guest, fromPort = 40000): Buffer =>
  framed(ip4({ from, to, protocol: 6, payload: tcp(from, to, [fromPort, port], flag) }));
const udpTo = (to: string, port: number): Buffer =>
  framed(ip4({ from: guest, to, protocol: 17, payload: udp(guest, to, port) }));
const pingTo = (to: string): Buffer => framed(ip4({ from: guest, to, protocol: 1, payload: ping() }));
const v6 = (to: string, next: number, payload: Buffer): Buffer => framed(ip6(linkLocal, to, next, payload), 0x86dd);
const arpFrom = (operation: 1 | 2, sender: { mac: string; ip: string }, ip: string, ether = mac): Buffer =>
  ethernet(everybody, ether, 0x0806, arp({ operation, sender, target: { mac: nobody, ip } }));
const self = { mac, ip: guest };

/** What a guest must not be able to do. `answered`: the kernel does answer it where there is no filter. */
export const attempts: readonly (readonly [what: string, frame: Buffer, answered?: 'answered'])[] = [
  ['DNS at the gateway', udpTo(gateway, 53), 'answered'],
  ['DNS at the address that user networks have', udpTo('10.0.2.3', 53)],
  ['DNS at a public resolver', udpTo('8.8.8.8', 53)],
  ['DNS over TCP', tcpTo(gateway, 53), 'answered'],
  ['DNS over TLS at a public resolver', tcpTo('1.1.1.1', 853)],
  ['UDP to the port of the gateway', udpTo(gateway, gatewayPort), 'answered'],
  ['QUIC', udpTo('8.8.8.8', 443)],
  [
    'DHCP',
    framed(
      ip4({ from: '0.0.0.0', to: '255.255.255.255', protocol: 17, payload: udp('0.0.0.0', '255.255.255.255', 67) }),
    ),
  ],
  ['multicast DNS', udpTo('224.0.0.251', 5353)],
  ['NTP', udpTo('162.159.200.1', 123)],
  ['ping of the gateway', pingTo(gateway), 'answered'],
  ['ping of a public address', pingTo('1.1.1.1')],
  ['broadcast ping', pingTo('10.0.2.255')],
  ['SSH of the host', tcpTo(gateway, 22), 'answered'],
  ['the controller', tcpTo(gateway, 4000), 'answered'],
  ['a service of the guest on the other side', tcpTo(gateway, 8080), 'answered'],
  ['the desktop on the other side', tcpTo(gateway, 5901), 'answered'],
  ['a connection that pretends to come from the agent', tcpTo(gateway, 4000, flags.syn, guest, 8080), 'answered'],
  [
    'a first packet to any port from the port of the desktop',
    tcpTo(gateway, 40001, flags.syn, guest, 5901),
    'answered',
  ],
  ['the host by the address that user networks have', tcpTo('10.0.2.2', 22)],
  ['loopback of the host', tcpTo('127.0.0.1', 4000)],
  ['metadata of a cloud', tcpTo('169.254.169.254', 80)],
  ['metadata of another cloud', tcpTo('100.100.100.200', 80)],
  ['a private network', tcpTo('192.168.1.1', 80)],
  ['a public web server, past the gateway', tcpTo('93.184.215.14', 443)],
  ['itself, as another VM has the same address', tcpTo(guest, 8080)],
  ['another VM by its address', tcpTo('10.0.2.16', 8080)],
  ['the gateway from another address', tcpTo(gateway, gatewayPort, flags.syn, '10.0.2.16')],
  ['the gateway from its own address', tcpTo(gateway, gatewayPort, flags.syn, gateway)],
  [
    'a fragment to the gateway',
    framed(
      ip4({
        from: guest,
        to: gateway,
        protocol: 6,
        payload: tcp(guest, gateway, [40000, gatewayPort], flags.syn),
        fragment: 0x2000,
      }),
    ),
  ],
  [
    'a later fragment to the gateway',
    framed(ip4({ from: guest, to: gateway, protocol: 6, payload: Buffer.alloc(24), fragment: 1 })),
  ],
  [
    'another protocol (GRE)',
    framed(ip4({ from: guest, to: gateway, protocol: 47, payload: Buffer.alloc(8) })),
    'answered',
  ],
  [
    'another protocol (SCTP)',
    framed(ip4({ from: guest, to: gateway, protocol: 132, payload: Buffer.alloc(16) })),
    'answered',
  ],
  ['IGMP', framed(ip4({ from: guest, to: '224.0.0.22', protocol: 2, payload: Buffer.alloc(8) }))],
  [
    'the gateway from another hardware address',
    ethernet(
      gatewayMac,
      otherMac,
      0x0800,
      ip4({ from: guest, to: gateway, protocol: 6, payload: tcp(guest, gateway, [40000, gatewayPort], flags.syn) }),
    ),
    'answered',
  ],
  [
    'a frame to everybody that holds a packet to the gateway',
    ethernet(
      everybody,
      mac,
      0x0800,
      ip4({ from: guest, to: gateway, protocol: 6, payload: tcp(guest, gateway, [40000, gatewayPort], flags.syn) }),
    ),
  ],
  [
    'a tag of a VLAN',
    ethernet(
      gatewayMac,
      mac,
      0x8100,
      Buffer.concat([
        Buffer.from([0, 5, 8, 0]),
        ip4({ from: guest, to: gateway, protocol: 6, payload: tcp(guest, gateway, [40000, gatewayPort], flags.syn) }),
      ]),
    ),
  ],
  [
    'a tag of priority',
    ethernet(
      gatewayMac,
      mac,
      0x8100,
      Buffer.concat([
        Buffer.from([0, 0, 8, 0]),
        ip4({ from: guest, to: gateway, protocol: 6, payload: tcp(guest, gateway, [40000, gatewayPort], flags.syn) }),
      ]),
    ),
  ],
  [
    'IPv6: neighbours of the link',
    v6(allNodes, 58, Buffer.from([135, 0, 0, 0, 0, 0, 0, 0, ...Buffer.from(linkLocal, 'hex')])),
  ],
  ['IPv6: a router', v6('ff020000000000000000000000000002', 58, Buffer.from([133, 0, 0, 0, 0, 0, 0, 0]))],
  ['IPv6: to be the router', v6(allNodes, 58, Buffer.from([134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0]))],
  ['IPv6: a public address', v6('20010db8000000000000000000000001', 6, tcp(guest, gateway, [40000, 443], flags.syn))],
  ['IPv6: the link-local address of the other side', v6('fe8000000000000000000afffe000264', 17, Buffer.alloc(12))],
  [
    'IPv6: the host by a mapped address',
    v6('00000000000000000000ffff7f000001', 6, tcp(guest, gateway, [40000, 4000], flags.syn)),
  ],
  ['ARP: who has the address of another VM', arpFrom(1, self, '10.0.2.16')],
  ['ARP: who has the address that user networks have', arpFrom(1, self, '10.0.2.2')],
  ['ARP: from another address', arpFrom(1, { mac, ip: '10.0.2.16' }, gateway)],
  ['ARP: in the name of the gateway', arpFrom(1, { mac, ip: gateway }, gateway)],
  ['ARP: for another hardware address', arpFrom(1, { mac: otherMac, ip: guest }, gateway)],
  ['ARP: from another hardware address', arpFrom(1, self, gateway, otherMac)],
  ['ARP: an answer that nobody asked for', arpFrom(2, { mac: otherMac, ip: guest }, gateway)],
  ['ARP: an answer in the name of the gateway', arpFrom(2, { mac, ip: gateway }, guest)],
  ['an unknown type of frame', framed(Buffer.alloc(46), 0x88b5)],
  ['a frame without content', framed(Buffer.alloc(0))],
];
