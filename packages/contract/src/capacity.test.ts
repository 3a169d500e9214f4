import { describe, expect, test } from 'vitest';
import {
  bootLimits,
  chooseHost,
  driverFor,
  cliDisksMib,
  longestBootMs,
  needOf,
  requireRoom,
  roomLeft,
  vmsThatFit,
  type Accel,
  type HostBeside,
  type HostCapacity,
  type HostDriver,
} from './capacity.js';
import type { GateVerdicts } from './driver-gate.js';
import { bootBoundOf, type HostProbe } from './runner.js';

const driver = {
  name: 'emulating',
  path: '/x',
  version: '1',
  emulation: true,
  serials: true,
  networks: ['tap', 'user'],
  ok: true,
  reason: 'fine',
};
const probe: HostProbe = {
  bootId: 'b',
  kvm: { present: true, usable: true, certain: true, reason: 'counted fast' },
  countMs: { kvm: 35, tcg: 310 },
  drivers: [{ ...driver, name: 'kvm-only', emulation: false, serials: false, networks: ['tap'] }, driver],
  tscKhz: 2_400_000,
};
const slow: HostProbe = {
  ...probe,
  kvm: { ...probe.kvm, usable: false, reason: 'slow' },
  countMs: { kvm: 900, tcg: 310 },
};
const none: HostProbe = { ...slow, countMs: { kvm: null, tcg: 310 } };

const id = 'img_202601010000abcdef01';
const passed: GateVerdicts = { 'kvm-only': { imageId: id, reason: 'It was booted.' } };
const beside = (change: Partial<HostBeside>): HostBeside => ({
  ...{ accel: 'auto', vmm: 'auto', gates: passed },
  ...{ network: { network: 'netns', networkReason: 'The helper answers.' }, ...change },
});
const namesOf = (drivers: readonly HostDriver[]): string[] =>
  drivers.filter(({ problem }) => problem === null).map(({ name }) => name);

describe('the accelerator and the driver', () => {
  test.each([
    [
      probe,
      'auto',
      {
        accel: 'kvm',
        drivers: ['kvm-only', 'emulating'],
        accelReason: 'counted fast',
        tscKhz: 2_400_000,
      },
    ],
    [
      slow,
      'auto',
      { accel: 'tcg', drivers: ['emulating'], accelReason: 'Software emulation, which is faster here: slow' },
    ],
    [none, 'auto', { accel: 'tcg', accelReason: 'Software emulation, because KVM does not work here: slow' }],
    [
      probe,
      'tcg',
      {
        accel: 'tcg',
        drivers: ['emulating'],
        accelReason: expect.stringContaining('AIRLOCK_ACCEL=tcg') as string,
      },
    ],
  ] as const)('are chosen, with the reason', (found, wanted, choice) => {
    const { drivers, ...rest } = chooseHost(found, beside({ accel: wanted }));
    expect({ ...rest, drivers: namesOf(drivers) }).toMatchObject(choice);
  });

  test('KVM that was asked for and does not work is refused', () => {
    expect(() => chooseHost(slow, beside({ accel: 'kvm' }))).toThrow(
      expect.objectContaining({ code: 'host_unsupported' }) as Error,
    );
  });

  test('a host without a driver that works is refused', () => {
    const without = { ...slow, drivers: [probe.drivers[0] ?? driver] };
    expect(() => chooseHost(without, beside({}))).toThrow(expect.objectContaining({ code: 'vmm_missing' }) as Error);
  });
});

describe('an image', () => {
  const host = chooseHost(probe, beside({}));

  test.each([
    [host, ['emulating', 'kvm-only'], 'kvm-only'],
    [host, ['emulating'], 'emulating'],
    [host, null, 'emulating'],
    [chooseHost(slow, beside({})), ['emulating', 'kvm-only'], 'emulating'],
  ])('is started by the best driver that it knows', (found, known, expected) => {
    expect(driverFor(found, { id, drivers: known }, 'browser').driver).toBe(expected);
  });

  test.each([
    [['another'], 'knows another'],
    [null, 'a version before this'],
  ])('that knows none is refused', (known, words) => {
    const only = { drivers: host.drivers.slice(0, 1) };
    expect(() => driverFor(only, { id, drivers: known }, 'cli')).toThrow(
      expect.objectContaining({ code: 'image_too_old', message: expect.stringContaining(words) as string }) as Error,
    );
  });
});

/** The names that AIRLOCK_VMM knows, as the other tests' drivers are. */
const real: HostProbe = {
  ...probe,
  drivers: probe.drivers.map((each) => ({ ...each, name: each.emulation ? 'qemu' : 'firecracker' })),
};
const user = { network: 'user', networkReason: 'No helper.' } as const;
const gateOf = (imageId: string | null): GateVerdicts => ({ firecracker: { imageId, reason: 'What the gate says.' } });

describe('what needs a gate', () => {
  const known = { id, drivers: ['qemu', 'firecracker'] };

  test.each([
    ['has passed', {}, { id: known.id }, 'firecracker', 'What the gate says.'],
    ['has not passed', { gates: gateOf(null) }, {}, 'qemu', 'fine What the gate says.'],
    [
      'has passed with another image',
      {},
      { id: 'img_2' },
      'qemu',
      `The gate of firecracker has booted ${id}, not img_2.`,
    ],
    ['finds no network for it', { network: user }, {}, 'qemu', 'of the form user, which VMs get here. No helper.'],
    [
      'is of no use without KVM',
      { accel: 'tcg' },
      {},
      'qemu',
      'firecracker runs VMs with KVM alone. AIRLOCK_ACCEL=tcg',
    ],
    ['is not known to the image', {}, { drivers: ['qemu'] }, 'qemu', `The image ${id} does not know firecracker.`],
    ['is not asked for', { vmm: 'qemu' }, {}, 'qemu', 'AIRLOCK_VMM=qemu asks for it.'],
  ] as const)('and %s: the driver and why', (_what, change, image, driver, words) => {
    const host = chooseHost(real, beside({ gates: gateOf(id), ...change }));
    const { id: imageId, drivers } = { ...known, ...image };
    const choice = driverFor(host, { id: imageId, drivers: [...drivers] }, 'browser');
    expect(choice).toEqual({ driver, driverReason: expect.stringContaining(words) as string });
  });

  test('is taken without one where it is asked for', () => {
    const host = chooseHost(real, beside({ vmm: 'firecracker', gates: gateOf(null) }));
    expect(driverFor(host, known, 'browser')).toEqual({
      driver: 'firecracker',
      driverReason: 'AIRLOCK_VMM=firecracker asks for it.',
    });
  });

  test.each<[string, HostProbe, Partial<HostBeside>, string]>([
    ['KVM', none, {}, 'KVM alone. Software emulation'],
    ['a network', real, { network: user }, 'No helper.'],
    ['its program', { ...real, drivers: real.drivers.map((each) => ({ ...each, ok: false })) }, {}, 'fine'],
    ['a driver', probe, {}, 'no such driver'],
  ])('and is asked for without %s: the start is refused', (_what, found, change, words) => {
    const drivers = found === none ? real.drivers : found.drivers;
    expect(() => chooseHost({ ...found, drivers }, beside({ vmm: 'firecracker', ...change }))).toThrow(
      expect.objectContaining({
        code: 'vmm_unavailable',
        message: expect.stringMatching(new RegExp(`^AIRLOCK_VMM=firecracker.*${words}`)) as string,
        hint: expect.stringContaining('AIRLOCK_VMM=auto') as string,
      }) as Error,
    );
  });

  test('a CLI VM whose root does not know what is asked for keeps what it knows; a browser VM is refused', () => {
    const host = chooseHost(real, beside({ vmm: 'firecracker' }));
    const old = { id: 'img_1', drivers: null };
    expect(driverFor(host, old, 'cli')).toMatchObject({ driver: 'qemu' });
    expect(() => driverFor(host, old, 'browser')).toThrow(/starts VMs with firecracker; .* img_1 comes from/);
  });
});

describe('the time that a VM has to boot', () => {
  test.each<[string, Accel, number | null, number]>([
    ['KVM of real hardware', 'kvm', 35, 60_000],
    ['as fast as what the least time is for', 'kvm', 75, 60_000],
    ['a little slower', 'kvm', 76, 60_800],
    // There 60 s were too few for a VM that was coming up well.
    ['KVM in a nested host', 'kvm', 250, 200_000],
    ['the same, busier', 'kvm', 410, 328_000],
    ['emulation', 'tcg', 310, 248_000],
    ['emulation in emulation', 'tcg', 41_000, 1_800_000],
    ['a speed that nobody knows', 'tcg', null, 240_000],
  ])('follows the figure of the accelerator that is used: %s', (_name, accel, figure, bootTimeoutMs) => {
    const limits = bootLimits({ accel, countMs: { kvm: 1, tcg: 1, [accel]: figure } });
    expect(limits).toEqual({ bootTimeoutMs });
    expect(bootBoundOf(limits)).toBe(2 * bootTimeoutMs);
    expect(bootBoundOf(limits)).toBeLessThanOrEqual(longestBootMs);
  });

  test('is what the setting says, and no more for a VM that gets on', () => {
    const limits = bootLimits({ accel: 'tcg', countMs: { kvm: null, tcg: 310 } }, 7);
    expect([limits.bootTimeoutMs, bootBoundOf(limits)]).toEqual([7000, 7000]);
  });
});

const size = { accel: 'kvm', memoryMib: 2048 } as const;
const each = needOf(size).memoryMib;
const host: HostCapacity = {
  memory: { totalMib: 16_384, availableMib: 512 + 3 * each },
  disk: { path: '/h', freeMib: 512 + 5000 },
  vms: [],
};
const use = (vmId: string, memory: [number, number], disk: [number, number] = [0, 0]) => ({
  vmId,
  promised: { memoryMib: memory[0], diskMib: disk[0] },
  taken: { memoryMib: memory[1], diskMib: disk[1] },
  disks: { homeMib: disk[0], rootsMib: new Map<number, number>() },
});

describe('what is left of a host', () => {
  test('is what is free, but for a reserve', () => {
    expect(roomLeft(host)).toEqual({ memoryMib: 3 * each, diskMib: 5000 });
    expect(vmsThatFit(roomLeft(host), size)).toBe(3);
    expect(vmsThatFit(roomLeft(host), { ...size, accel: 'tcg' })).toBe(2);
  });

  test('is less what VMs were promised and have not taken yet', () => {
    const vms = [use('young', [each, 100]), use('old', [each, each + 30]), use('off', [0, 0], [4096, 1500])];
    expect(roomLeft({ ...host, vms })).toEqual({ memoryMib: 3 * each - (each - 100), diskMib: 5000 - (4096 - 1500) });
  });

  test('counts a VM that is only being made, and each VM once', () => {
    const expected = new Map([
      ['new', { memoryMib: each, diskMib: 4096 }],
      ['known', { memoryMib: each, diskMib: 0 }],
    ]);
    const vms = [use('known', [each, 1000])];
    expect(roomLeft({ ...host, vms }, expected)).toEqual({
      memoryMib: 3 * each - each - (each - 1000),
      diskMib: 5000 - 4096,
    });
  });

  test('is never less than nothing', () => {
    expect(roomLeft({ ...host, memory: { totalMib: 1, availableMib: 1 } }).memoryMib).toBe(0);
  });
});

test('a new CLI VM is promised its home and its root', () => {
  expect(cliDisksMib(10)).toBe(10 * 1024 + 4096);
  expect(cliDisksMib(1, 2000)).toBe(3024);
});

describe('room for more', () => {
  const room = { memoryMib: 2 * each, diskMib: 4096 };
  test('is there for what fits together', () => {
    expect(() => requireRoom([needOf(size), needOf({ ...size, newDiskMib: 4096 })], room)).not.toThrow();
  });

  test('is refused with what is needed and what is there', () => {
    expect(() => requireRoom([needOf(size), needOf(size), needOf(size)], room)).toThrow(
      expect.objectContaining({
        code: 'capacity_exhausted',
        message: `3 VMs need ${3 * each} MiB of memory; ${2 * each} MiB are free on this host and not promised to other VMs.`,
      }) as Error,
    );
    expect(() => requireRoom([needOf({ ...size, newDiskMib: 5000 })], room)).toThrow(
      expect.objectContaining({
        code: 'disk_full',
        message: 'The disks of a CLI VM need 4.9 GiB on this host; 4.0 GiB are free and not promised to other VMs.',
      }) as Error,
    );
  });
});
