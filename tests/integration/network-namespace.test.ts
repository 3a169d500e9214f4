/** The network that the privileged helper makes for a VM: what a guest can do in it, as raw frames, and what is left of it. */
import { chmod, mkdtemp, readdir, rmdir } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { beforeAll, describe, expect, it } from 'vitest';
import { guestNetwork } from '@airlock/contract/guest';
import { namespaceOf, relaySockets, tapNetwork } from '@airlock/contract/privileged';
import { run } from '@airlock/contract/process';
import { newId } from '@airlock/contract/ids';
import { helperSkip, startHelper, type HelperConnection } from '../support/privileged-helper.js';
import { until } from '../support/poll.js';
import { attempts, tcpTo } from '../support/tap/attempts.js';
import { arp, ethernet, flags } from '../support/tap/frame.js';
import { openTap, type Tap } from '../support/tap/tap.js';

const { gatewayPort } = guestNetwork;
const [guest, gateway]: [string, string] = [guestNetwork.address, guestNetwork.gatewayHost];
const [tapName, mac, gatewayMac]: [string, string, string] = [tapNetwork.tap, tapNetwork.mac, tapNetwork.gatewayMac];
const everybody = 'ff:ff:ff:ff:ff:ff';
const nobody = '00:00:00:00:00:00';
const self = { mac, ip: guest };
const skip = helperSkip();
if (skip !== null) console.log(`skipped: ${skip}`);

interface Network {
  helper: HelperConnection;
  vmId: string;
  folder: string;
  path: string;
  tap: Tap;
  frames: Buffer[];
}

describe.skipIf(skip !== null)('a network namespace', () => {
  let runFolder: string;
  let network: Network;
  const open: HelperConnection[] = [];

  async function makeNetwork(): Promise<Omit<Network, 'tap' | 'frames'>> {
    const helper = startHelper(runFolder);
    open.push(helper);
    const vmId = newId('vm');
    const { folder } = (await helper.ask({ verb: 'network', vmId })) as { folder: string };
    return { helper, vmId, folder, path: `/run/netns/${namespaceOf(vmId)}` };
  }

  async function withTap(): Promise<Network> {
    const made = await makeNetwork();
    const tap = await openTap(made.path, tapName);
    const frames: Buffer[] = [];
    tap.onFrame = (frame) => void frames.push(frame);
    return { ...made, tap, frames };
  }

  /** The frames that come out after `frame` went in; a question that is answered stands behind it, so that none is waited for in vain. */
  async function answersTo({ tap, frames }: Network, frame: Buffer): Promise<Buffer[]> {
    frames.length = 0;
    tap.send(frame);
    tap.send(
      ethernet(gatewayMac, mac, 0x0806, arp({ operation: 1, sender: self, target: { mac: nobody, ip: gateway } })),
    );
    const isEnd = (one: Buffer): boolean =>
      one.readUInt16BE(12) === 0x0806 && one.subarray(0, 6).toString('hex') === mac.replaceAll(':', '');
    await until('the answer to ARP', async () => Promise.resolve(frames.some(isEnd)), {
      timeoutMs: 10_000,
      intervalMs: 2,
    });
    return frames.filter((one) => !isEnd(one));
  }

  const inside = async ({ path }: Pick<Network, 'path'>, ...command: string[]): Promise<string> =>
    (await run('nsenter', [`--net=${path}`, ...command])).stdout;

  async function refused(from: Network): Promise<number> {
    const chain = await inside(from, 'nft', 'list', 'chain', 'netdev', 'airlock', 'from_guest');
    return Number(/counter packets (\d+)/.exec(chain)?.[1]);
  }

  beforeAll(async () => {
    runFolder = await mkdtemp('/run/airlock-t');
    network = await withTap();
  });

  it('has at least 30 ways to be tried', () => expect(attempts.length).toBeGreaterThanOrEqual(30));

  it.each(attempts.map(([what, frame]) => ({ what, frame })))('refuses $what', async ({ frame }) => {
    const before = await refused(network);
    expect((await answersTo(network, frame)).map((one) => one.toString('hex'))).toEqual([]);
    expect(await refused(network)).toBe(before + 1);
  });

  it('answers a connection to the gateway', async () => {
    const before = await refused(network);
    const [answer] = await answersTo(network, tcpTo(gateway, gatewayPort));
    expect(answer?.subarray(26, 30).join('.')).toBe(gateway);
    expect(answer?.[14 + 20 + 13]).toBe(flags.syn | flags.ack);
    expect(await refused(network)).toBe(before);
  });

  it('has no interface but its own, no address and no route but to its guest', async () => {
    const links = await inside(network, 'ip', '-brief', 'link');
    expect(links.split('\n').map((line) => line.split(/\s+/)[0])).toEqual(['lo', tapName, '']);
    expect(links).toMatch(/^lo\s+DOWN/);
    const addresses = await inside(network, 'ip', '-brief', 'address', 'show', 'dev', tapName);
    expect(addresses.trim().split(/\s+/).slice(2)).toEqual([gateway, 'peer', `${guest}/32`]);
    expect((await inside(network, 'ip', 'route')).trim().split('\n')).toEqual([
      expect.stringMatching(`^${guest} dev ${tapName} `),
    ]);
    expect((await inside(network, 'ip', '-6', 'route')).trim()).toBe('');
    expect((await run('ip', ['-brief', 'link'])).stdout).not.toContain(tapName);
  });

  it('is apart from the one of another VM, though names and addresses are the same', async () => {
    const other = await withTap();
    try {
      await answersTo(network, ethernet(everybody, mac, 0x88b5, Buffer.alloc(46)));
      await answersTo(network, tcpTo(guest, 8080));
      expect(other.frames).toEqual([]);
      expect(await refused(other)).toBe(0);
    } finally {
      await other.tap.close();
      expect(await other.helper.close()).toBe(0);
    }
  });

  /** A system that behaves, in a namespace of its own: its interface is joined to the one of a VM. */
  async function withGuest(use: (made: Network, guestPath: string) => Promise<void>): Promise<void> {
    const made = await withTap();
    const name = `${namespaceOf(made.vmId)}-guest`;
    const path = `/run/netns/${name}`;
    await run('ip', ['netns', 'add', name]);
    try {
      const link = [
        `tuntap add dev eth0 mode tap`,
        `link set dev eth0 address ${mac} up`,
        `address add ${guest}/24 dev eth0`,
      ];
      await run('ip', ['-n', name, '-batch', '-'], { input: link.join('\n') });
      const eth0 = await openTap(path, 'eth0');
      eth0.onFrame = (frame) => made.tap.send(frame);
      made.tap.onFrame = (frame) => eth0.send(frame);
      await use(made, path);
      await eth0.close();
    } finally {
      await run('ip', ['netns', 'delete', name]);
      await made.tap.close();
      expect(await made.helper.close()).toBe(0);
    }
  }

  it('leads from the guest to the gateway of the runner, and from the runner to the services of the guest', () =>
    withGuest(async ({ folder }, path) => {
      // Each side says when it has heard the end of the other, which must not end its own way.
      const answering = createServer({ allowHalfOpen: true }, (socket) => {
        let heard = 0;
        socket.on('data', (chunk: Buffer) => void (heard += chunk.length));
        socket.on('end', () => socket.end(`gateway heard ${heard}`));
      });
      await once(answering.listen(join(folder, relaySockets.gateway)), 'listening');
      await chmod(join(folder, relaySockets.gateway), 0o666);
      const call = `const s = net.connect({ host: '${gateway}', port: ${gatewayPort}, allowHalfOpen: true });
        s.pipe(process.stdout); s.end('x'.repeat(3_000_000));`;
      expect((await run('nsenter', [`--net=${path}`, process.execPath, '-e', call])).stdout).toBe(
        'gateway heard 3000000',
      );
      answering.close();

      for (const [name, port] of [
        [relaySockets.agent, 8080],
        [relaySockets.desktop, 5901],
      ] as const) {
        const serve = `net.createServer((s) => s.end('service ${port}')).listen(${port}, '${guest}', () => console.log('up'))`;
        const service = spawn('nsenter', [`--net=${path}`, process.execPath, '-e', serve], {
          stdio: ['ignore', 'pipe', 'inherit'],
        });
        await once(service.stdout, 'data');
        expect(await text(connect(join(folder, name)))).toBe(`service ${port}`);
        service.kill();
        await once(service, 'exit');
      }
    }));

  it('would answer without its filter, so that it is the filter which was tried', async () => {
    await inside(network, 'nft', 'flush', 'ruleset');
    const silent: string[] = [];
    for (const [what, frame, answered] of attempts) {
      if (answered === undefined) continue;
      if ((await answersTo(network, frame)).length === 0) silent.push(what);
    }
    expect(silent).toEqual([]);
  });

  it('is given back with all that was in it', async () => {
    await network.tap.close();
    expect(await Promise.all(open.map((helper) => helper.close()))).toContain(0);
    expect(await readdir(runFolder)).toEqual(['ids']);
    expect((await run('ip', ['netns', 'list'])).stdout).not.toContain(network.vmId);
    // Fails where it holds one still.
    await rmdir(join(runFolder, 'ids'));
    await rmdir(runFolder);
  });
});
