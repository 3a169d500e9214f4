/** The pure parts of the QEMU driver: command line and monitor protocol. */
import { once } from 'node:events';
import { Duplex } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { kernelCommandLine, qemuArguments, qemuFiles, type ArgumentOptions } from './arguments.js';
import { connectQmp, createQmpDecoder } from './qmp.js';

const vm: ArgumentOptions = {
  ...{ vmId: 'vm_0123456789abcdef', accel: 'tcg', cpus: 2, memoryMib: 2048, tscKhz: 2596136, folder: '/v' },
  ...{ kernel: '/i/vmlinux', initrd: '/i/initrd.img', kernelArguments: 'root=/dev/root' },
  drives: [
    { id: 'root', path: '/i/rootfs.ext4', readOnly: true },
    { id: 'config', path: '/s/a,b.config', readOnly: true },
  ],
  network: { type: 'user', forwards: [8080], gatewaySocket: '/v/e.sock' },
};

describe('the command line', () => {
  const line = (change: Partial<ArgumentOptions> = {}): string => qemuArguments({ ...vm, ...change }).join(' ');

  it('attaches each drive under its serial number, in order, and a shared one read-only', () => {
    expect(line()).toContain('id=root,if=none,format=raw,cache=writeback,readonly=on,file=/i/rootfs.ext4');
    expect(line()).toMatch(/serial=airlock-root .*serial=airlock-config/);
    expect(line({ drives: [{ id: 'root', path: '/v/disk.ext4', readOnly: false }] })).toContain(
      'id=root,if=none,format=raw,cache=writeback,auto-read-only=off,discard=unmap,file=/v/disk.ext4',
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

  it('takes a TAP and its files as descriptors, and no path of the host, where it is locked up', () => {
    const network = {
      type: 'tap',
      namespace: 'n',
      name: 'airlock0',
      mac: '52:54:00:12:34:56',
      launch: () => Promise.reject(new Error('not here')),
    } as const;
    const jailed = line({ network });
    expect(jailed).toContain('-netdev tap,id=net0,fd=4 -device virtio-net-device,netdev=net0,mac=52:54:00:12:34:56');
    expect(jailed).toContain('-kernel /proc/self/fd/5 -initrd /proc/self/fd/6 ');
    expect(jailed).toContain('-add-fd fd=7,set=7 -add-fd fd=8,set=8');
    expect(jailed).toMatch(/readonly=on,file=\/dev\/fdset\/7 .*readonly=on,file=\/dev\/fdset\/8 /);
    expect(jailed).toContain('spawn=deny,elevateprivileges=deny');
    expect(jailed).not.toMatch(/\/[iv]\//);
    expect(qemuFiles(vm)).toEqual(['/i/vmlinux', '/i/initrd.img', '/i/rootfs.ext4', '/s/a,b.config']);
  });
});

it.each([
  ['tcg', 2596136, 'reboot=t pci=off tsc_early_khz=2596136 tsc=reliable root=/dev/root'],
  ['tcg', null, 'reboot=t pci=off root=/dev/root'],
  ['kvm', 2596136, 'reboot=t pci=off root=/dev/root'],
] as const)('kernel arguments under %s with TSC %s', (accel, tscKhz, expected) => {
  expect(kernelCommandLine({ accel, tscKhz, kernelArguments: vm.kernelArguments })).toBe(expected);
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
