/** The pure parts of the QEMU driver: command line, monitor protocol, console signs, superblock. */
import { once } from 'node:events';
import { Duplex } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { tinyRootDisk } from '../fixtures/tiny-guest.js';
import { kernelArguments, qemuArguments } from './qemu-arguments.js';
import { connectQmp, createQmpDecoder } from './qmp.js';
import { judgeSuperblock } from './root-disk.js';
import { createSerialWatch, findBootFailure } from './serial.js';

const browser: Parameters<typeof qemuArguments>[0] = {
  ...{ vmId: 'vm_0123456789abcdef', kind: 'browser', accel: 'tcg', cpus: 2, memoryMib: 2048, tscKhz: 2596136 },
  ...{ kernel: '/i/vmlinux', initrd: '/i/initrd.img', rootDisk: '/i/rootfs.ext4', configDrive: '/s/a,b.config' },
  netdev: 'user,id=net0',
};

describe('the command line', () => {
  const line = (change: Partial<Parameters<typeof qemuArguments>[0]> = {}): string =>
    qemuArguments({ ...browser, ...change }).join(' ');

  it('attaches a shared root read-only to a browser VM, and the own disk writable to a CLI VM', () => {
    expect(line()).toContain('id=root,if=none,format=raw,cache=writeback,readonly=on,file=/i/rootfs.ext4');
    expect(line({ kind: 'cli', rootDisk: '/v/disk.ext4' })).toContain(
      'id=root,if=none,format=raw,cache=writeback,discard=unmap,file=/v/disk.ext4',
    );
  });

  it('doubles a comma in a path, which separates options', () => {
    expect(line()).toContain('readonly=on,file=/s/a,,b.config');
  });

  it('chooses processor and accelerator together', () => {
    expect(line()).toContain('-accel tcg,thread=multi,tb-size=512 -cpu max');
    expect(line({ accel: 'kvm' })).toContain('-accel kvm -cpu host');
  });

  it('opens no network port and no file of its own', () => {
    expect(line()).not.toMatch(/-vnc|-qmp|-monitor|server=on|telnet/);
  });
});

const common = 'console=ttyS0 reboot=t panic=-1 pci=off net.ifnames=0 ipv6.disable=1 mitigations=off';
const overlay = 'root=LABEL=airlock-root ro airlock.root=overlay airlock.kind=browser';
it.each([
  ['browser', 'tcg', 2596136, `${common} tsc_early_khz=2596136 tsc=reliable ${overlay}`],
  ['browser', 'tcg', null, `${common} ${overlay}`],
  ['browser', 'kvm', 2596136, `${common} ${overlay}`],
  ['cli', 'kvm', null, `${common} root=LABEL=airlock-root rw airlock.root=disk airlock.kind=cli`],
] as const)('kernel arguments of a %s VM under %s with TSC %s', (kind, accel, tscKhz, expected) => {
  expect(kernelArguments({ kind, accel, tscKhz })).toBe(expected);
});

describe('the monitor protocol', () => {
  it('finds messages in pieces', () => {
    const decode = createQmpDecoder();
    expect(decode('{"QMP": {"version": {}}}\r\n{"ret')).toMatchObject([{ QMP: {} }]);
    expect(decode('urn": {}, "id": 1}\r\n{"event": "STOP", "timestamp": {}}\r\n')).toMatchObject([
      { return: {}, id: 1 },
      { event: 'STOP' },
    ]);
    expect(() => decode('what?\n')).toThrow(expect.objectContaining({ code: 'vmm_failed' }));
  });

  /** A QEMU that answers each command by `answer`. */
  function fake(answer: (command: string) => object | null): Duplex {
    const stream: Duplex = new Duplex({
      read: () => undefined,
      write(chunk: Buffer, _encoding, done) {
        const { execute, id } = JSON.parse(chunk.toString()) as { execute: string; id: number };
        const reply = answer(execute);
        if (reply) stream.push(`${JSON.stringify({ ...reply, id })}\r\n`);
        done();
      },
    });
    stream.push('{"QMP": {}}\r\n');
    return stream;
  }

  it('answers each command with its own value or error', async () => {
    const qmp = connectQmp(
      fake((command) =>
        command === 'bad' ? { error: { class: 'GenericError', desc: 'no such' } } : { return: command },
      ),
    );
    const all = await Promise.allSettled([qmp.execute('a'), qmp.execute('bad'), qmp.execute('b')]);
    expect(all).toMatchObject([
      { value: 'a' },
      { reason: { code: 'vmm_failed', message: 'QEMU refused bad: no such' } },
      { value: 'b' },
    ]);
  });

  it('fails what is under way, and what comes later, when the connection ends', async () => {
    const stream = fake((command) => (command === 'qmp_capabilities' ? { return: {} } : null));
    const qmp = connectQmp(stream);
    const waiting = qmp.execute('slow').catch((error: unknown) => error);
    stream.destroy();
    await once(stream, 'close');
    expect(await waiting).toMatchObject({ code: 'vmm_failed' });
    await expect(qmp.execute('late')).rejects.toMatchObject({ code: 'vmm_failed' });
  });
});

describe('signs on the console', () => {
  it.each([
    ['Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)', 'cannot mount'],
    ['[    4.1] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100', 'first process ended'],
    ['[    4.1] Kernel panic - not syncing: Fatal exception', 'panicked'],
    ['ALERT!  LABEL=airlock-root does not exist.  Dropping to a shell!', 'does not find its root'],
    ['Gave up waiting for root file system device.', 'does not find its root'],
    ['mount: mounting /dev/vda on /root failed: Invalid argument', 'cannot be mounted'],
    ['No init found. Try passing init= bootarg.', 'holds no init'],
    ['rootfs: UNEXPECTED INCONSISTENCY; RUN fsck MANUALLY.', 'damaged'],
    ['(initramfs) ', 'initramfs gave up'],
    ['You are in emergency mode. After logging in, type "journalctl -xb"', 'emergency'],
    ['[!!!!!!] Failed to start up manager.\nsystemd[1]: Freezing execution.', 'systemd stopped'],
  ])('%s', (text, words) => {
    expect(findBootFailure(text)).toContain(words);
  });

  it.each([
    '[    0.0] Linux version 6.12',
    'Begin: Waiting for root file system ...',
    '[  OK  ] Reached target emergency',
  ])('%s is no sign', (text) => {
    expect(findBootFailure(text)).toBeNull();
  });

  it('sees a sign in two pieces, and tells it once', () => {
    const seen: string[] = [];
    const watch = createSerialWatch((meaning) => seen.push(meaning));
    for (const piece of ['[ 1.0] Kernel pan', 'ic - not syncing: Fatal\n', 'Kernel panic - not syncing: again\n']) {
      watch(Buffer.from(piece));
    }
    expect(seen).toEqual(['its kernel panicked']);
  });
});

it.each([
  ['a good disk', tinyRootDisk('airlock-root', 1000), 4_096_000, null],
  ['a cut-off disk', tinyRootDisk('airlock-root', 1000), 4_095_999, '4095999 bytes of the 4096000'],
  ['another label', tinyRootDisk('rootfs'), 4096, '"rootfs"'],
  ['zeros', Buffer.alloc(2048), 4096, 'no ext4'],
  ['an empty file', Buffer.alloc(0), 0, 'no ext4'],
])('the superblock of %s', (_name, head, size, words) => {
  const problem = judgeSuperblock(head, size);
  if (words === null) expect(problem).toBeNull();
  else expect(problem).toContain(words);
});
