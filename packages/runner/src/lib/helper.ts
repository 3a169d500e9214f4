/** What the runner asks the privileged helper for. All that it made for this VM is given back when the connection ends. */
import { Duplex } from 'node:stream';
import { connectHelper as connect, type HelperClient } from '@airlock/contract/helper-client';
import { JailAnswer, NetworkAnswer, type JailRequest } from '@airlock/contract/privileged';
import type { ProcessIdentity } from '@airlock/contract/runner';
import type { LaunchOutput, Launched, ProcessExit } from './device.js';

export interface Helper {
  /** Makes the network of this VM, whose VMM is to be that user, and answers the folder of its sockets. */
  network(vmId: string, vmUser?: number): Promise<string>;
  /** Starts the VMM in its jail. */
  start(request: JailRequest, output: LaunchOutput): Promise<Launched>;
  /** Has everything given back, and waits until it is. Idempotent. */
  close(): Promise<void>;
}

/** @throws AppError helper_unavailable */
export async function connectHelper(path: string): Promise<Helper> {
  const client = await connect(path);
  return {
    async network(vmId, vmUser) {
      const request = { verb: 'network', vmId, ...(vmUser !== undefined && { vmUser }) } as const;
      return (await client.ask(request, NetworkAnswer)).folder;
    },
    start: (request, output) => start(client, request, output),
    close: client.close,
  };
}

async function start(client: HelperClient, request: JailRequest, output: LaunchOutput): Promise<Launched> {
  const monitor = new Duplex({
    read: () => undefined,
    write(chunk: Buffer, _encoding, done) {
      const written = (): void => done();
      client.tell({ verb: 'monitor', data: chunk.toString('base64') }).then(written, written);
    },
  });
  const exited = new Promise<ProcessExit>((resolve) => {
    client.listen((event) => {
      if (event.event === 'exit') {
        // Not destroyed: its last words, just before, are still to be read.
        monitor.push(null);
        monitor.end();
        resolve({ code: event.code, signal: event.signal });
        return;
      }
      const chunk = Buffer.from(event.data, 'base64');
      if (event.event === 'console') output.onSerial(chunk);
      else if (event.event === 'messages') output.onMessage(chunk);
      else if (event.event === 'metrics') output.onMetrics?.(chunk);
      else monitor.push(chunk);
    });
    const lost = (): void => {
      monitor.destroy();
      resolve({ code: null, signal: 'SIGKILL' });
    };
    client.ended.then(lost, lost);
  });
  const { identity }: { identity: ProcessIdentity } = await client.ask(request, JailAnswer);
  const kill = async (): Promise<void> => {
    await client.tell({ verb: 'kill' });
    await exited;
  };
  return { identity, monitor, exited, kill };
}
