/** Ethernet frames as bytes, for what a guest could send and no honest system would. Addresses as text. */

type Mac = string;

const bytesOf = (mac: Mac): Buffer => Buffer.from(mac.replaceAll(':', ''), 'hex');
const ipBytes = (address: string): Buffer => Buffer.from(address.split('.').map(Number));
const u16 = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff]);

/** RFC 1071. */
function checksum(data: Buffer): Buffer {
  let sum = 0;
  for (let at = 0; at < data.length; at += 2) sum += (data[at] ?? 0) * 256 + (data[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return u16(~sum & 0xffff);
}

export const ethernet = (to: Mac, from: Mac, type: number, payload: Buffer): Buffer =>
  Buffer.concat([bytesOf(to), bytesOf(from), u16(type), payload]);

export interface Ip4 {
  from: string;
  to: string;
  protocol: number;
  payload: Buffer;
  /** The field of flags and fragment offset. */
  fragment?: number;
}

export function ip4({ from, to, protocol, payload, fragment = 0 }: Ip4): Buffer {
  const head = (sum: Buffer): Buffer =>
    Buffer.concat([
      Buffer.from([0x45, 0]),
      u16(20 + payload.length),
      u16(1),
      u16(fragment),
      Buffer.from([64, protocol]),
      sum,
      ipBytes(from),
      ipBytes(to),
    ]);
  return Buffer.concat([head(checksum(head(u16(0)))), payload]);
}

/** With the checksum over addresses and payload that TCP and UDP have at `at`. */
function summed(from: string, to: string, protocol: number, segment: Buffer, at: number): Buffer {
  const pseudo = Buffer.concat([ipBytes(from), ipBytes(to), Buffer.from([0, protocol]), u16(segment.length)]);
  checksum(Buffer.concat([pseudo, segment])).copy(segment, at);
  return segment;
}

export const flags = { syn: 2, rst: 4, ack: 16 } as const;

export function tcp(from: string, to: string, ports: [from: number, to: number], flag: number): Buffer {
  const rest = Buffer.from([0, 0, 0, 1, 0, 0, 0, 0, 0x50, flag, 0xff, 0xff, 0, 0, 0, 0]);
  return summed(from, to, 6, Buffer.concat([u16(ports[0]), u16(ports[1]), rest]), 16);
}

export function udp(from: string, to: string, port: number): Buffer {
  const data = Buffer.from('any');
  return summed(from, to, 17, Buffer.concat([u16(40000), u16(port), u16(8 + data.length), u16(0), data]), 6);
}

export function ping(): Buffer {
  const message = Buffer.from([8, 0, 0, 0, 0, 1, 0, 1]);
  checksum(message).copy(message, 2);
  return message;
}

export interface Arp {
  operation: 1 | 2;
  sender: { mac: Mac; ip: string };
  target: { mac: Mac; ip: string };
}

export const arp = ({ operation, sender, target }: Arp): Buffer =>
  Buffer.concat([
    Buffer.from([0, 1, 8, 0, 6, 4]),
    u16(operation),
    bytesOf(sender.mac),
    ipBytes(sender.ip),
    bytesOf(target.mac),
    ipBytes(target.ip),
  ]);

/** `from` and `to` are 32 hexadecimal digits. */
export const ip6 = (from: string, to: string, next: number, payload: Buffer): Buffer =>
  Buffer.concat([
    Buffer.from([0x60, 0, 0, 0]),
    u16(payload.length),
    Buffer.from([next, 255]),
    Buffer.from(from + to, 'hex'),
    payload,
  ]);
