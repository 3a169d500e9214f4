/** Starts the programs that play the other sides of a measurement, each in a process of its own, as in real life. */
import { fork } from 'node:child_process';
import { once } from 'node:events';

export type PeerName = 'controller' | 'gateway' | 'relay' | 'runner' | 'source' | 'upstream';
/** What a peer says when it is ready: ports and paths. */
export type Ready = Record<string, string>;
export type StartPeer = (name: PeerName, ...args: string[]) => Promise<Ready>;

/** Lets `work` start peers, and ends them all after it. */
export async function withPeers<T>(work: (start: StartPeer) => Promise<T>): Promise<T> {
  const ends: (() => Promise<unknown>)[] = [];
  try {
    return await work(async (name, ...args) => {
      const child = fork(new URL('./peers.js', import.meta.url), [name, ...args], {
        stdio: ['ignore', process.stderr, process.stderr, 'ipc'],
      });
      // Not 'close': it does not come after a disconnect from this side.
      const exited = new Promise((resolve) => child.once('exit', resolve));
      ends.unshift(async () => {
        if (child.connected) child.disconnect();
        await exited;
      });
      const early = exited.then((): never => {
        throw new Error(`The ${name} of the benchmark ended too early; its own message is above.`);
      });
      const [ready] = (await Promise.race([once(child, 'message'), early])) as [Ready];
      return ready;
    });
  } finally {
    for (const end of ends) await end();
  }
}
