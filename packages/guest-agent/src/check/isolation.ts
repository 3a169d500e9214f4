/**
 * Shows from inside that a VM reaches its egress gateway and nothing else: tries what must fail, and the one thing
 * that must work.
 */
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { guestNetwork } from '@airlock/contract/guest';

export interface Attempt {
  kind: 'tcp' | 'dns';
  address: string;
  port: number;
  /** What must come out. */
  expected: 'reached' | 'unreachable';
}

/** A user-mode network offers a DNS server at .3 and the host's loopback at .2; the rest are addresses for documentation. */
export const isolationAttempts: readonly Attempt[] = [
  { kind: 'tcp', address: guestNetwork.gatewayHost, port: guestNetwork.gatewayPort, expected: 'reached' },
  { kind: 'dns', address: '10.0.2.3', port: 53, expected: 'unreachable' },
  { kind: 'dns', address: '10.0.2.2', port: 53, expected: 'unreachable' },
  { kind: 'tcp', address: '10.0.2.2', port: 22, expected: 'unreachable' },
  { kind: 'tcp', address: '10.0.2.2', port: 4000, expected: 'unreachable' },
  { kind: 'tcp', address: '192.0.2.1', port: 443, expected: 'unreachable' },
  { kind: 'tcp', address: '2001:db8::1', port: 443, expected: 'unreachable' },
];

/** A query for the address of example.com. */
const dnsQuery = Buffer.from('4c4b01000001000000000000076578616d706c6503636f6d0000010001', 'hex');

interface Finding {
  reached: boolean;
  /** The system's error code, or "no answer". */
  how: string;
}

const codeOf = (error: NodeJS.ErrnoException): string => error.code ?? error.message;

function tryTcp({ address, port }: Attempt, timeoutMs: number): Promise<Finding> {
  return new Promise((resolve) => {
    const socket = connect(port, address);
    const finish = (reached: boolean, how: string): void => {
      socket.destroy();
      resolve({ reached, how });
    };
    socket.setTimeout(timeoutMs, () => finish(false, 'no answer'));
    socket.once('connect', () => finish(true, 'connected'));
    socket.once('error', (error) => finish(false, codeOf(error)));
  });
}

function tryDns({ address, port }: Attempt, timeoutMs: number): Promise<Finding> {
  return new Promise((resolve) => {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    const finish = (reached: boolean, how: string): void => {
      clearTimeout(timer);
      socket.close();
      resolve({ reached, how });
    };
    const timer = setTimeout(() => finish(false, 'no answer'), timeoutMs);
    socket.once('message', () => finish(true, 'answered'));
    socket.once('error', (error) => finish(false, codeOf(error)));
    socket.connect(port, address, () => socket.send(dnsQuery));
  });
}

/** Makes all attempts side by side; `output` has a line each. */
export async function probeIsolation(
  attempts: readonly Attempt[],
  timeoutMs: number,
): Promise<{ ok: boolean; output: string }> {
  const findings = await Promise.all(
    attempts.map((attempt) => (attempt.kind === 'dns' ? tryDns : tryTcp)(attempt, timeoutMs)),
  );
  const rows = attempts.map((attempt, index) => {
    const { reached, how } = findings[index] ?? { reached: false, how: 'not tried' };
    const isRight = reached === (attempt.expected === 'reached');
    const where = `${attempt.kind} ${attempt.address} port ${attempt.port}`;
    return { isRight, line: `${isRight ? 'ok' : 'WRONG'}: ${where}: ${how} (expected: ${attempt.expected})` };
  });
  return { ok: rows.every((row) => row.isRight), output: rows.map((row) => row.line).join('\n') };
}
