/** Finds out whether the VNC server answers. */
import { connect } from 'node:net';
import { readHead } from '../read-head.js';

const bannerTimeoutMs = 5000;

/** True when the port answers with an RFB banner. The server notes each such visit, so ask only until it is there. */
export function hasRfbBanner(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const finish = (found: boolean): void => {
      socket.destroy();
      resolve(found);
    };
    socket.setTimeout(bannerTimeoutMs, () => finish(false));
    socket.once('data', (chunk: Buffer) => finish(chunk.subarray(0, 4).equals(Buffer.from('RFB '))));
    socket.once('error', () => finish(false));
    socket.once('close', () => finish(false));
  });
}

/** Whether a table as in /proc/net/tcp has a listener (state 0A) on this port. */
export function tableHasListener(table: string, port: number): boolean {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return table.split('\n').some((line) => {
    const [, local, , state] = line.trim().split(/\s+/);
    return state === '0A' && local !== undefined && local.endsWith(suffix);
  });
}

/** Listeners are the first in the kernel's table; behind them may be more connections than there is memory for. */
const tableBytes = 64 * 1024;

/** Whether somebody listens on this TCP port (IPv4), found without a visit. */
export async function isListening(port: number): Promise<boolean> {
  return tableHasListener((await readHead('/proc/net/tcp', tableBytes)).toString('latin1'), port);
}
