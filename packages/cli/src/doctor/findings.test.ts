import { expect, test } from 'vitest';
import { readSettings } from '@airlock/contract/settings';
import type { HostFacts } from './facts.js';
import { choose, judge } from './findings.js';

const capacity = (availableMib: number, freeMib: number): HostFacts['capacity'] => ({
  memory: { totalMib: 16_384, availableMib },
  disk: { path: '/', freeMib },
  vms: [],
});
const disks = { homeMib: 0, rootsMib: new Map<number, number>() };
const good: HostFacts = {
  node: '20.20.2',
  os: { id: 'debian', codename: 'bookworm', name: 'Debian GNU/Linux 12 (bookworm)' },
  uid: 1000,
  noNewPrivileges: false,
  folders: { refused: [], service: null },
  userNamespaces: true,
  subordinateIds: true,
  probe: {
    bootId: 'b',
    kvm: { present: true, usable: true, certain: true, reason: 'counted fast' },
    countMs: { kvm: 35, tcg: 310 },
    drivers: [
      {
        name: 'qemu',
        path: '/usr/bin/qemu',
        version: '10.0.2',
        emulation: true,
        serials: true,
        networks: ['tap', 'user'],
        ok: true,
        reason: 'fine',
      },
    ],
    tscKhz: 1,
  },
  gates: {},
  qbootRom: '/usr/share/qemu/qboot.rom',
  network: { network: 'user', networkReason: 'no helper', helperSocket: null, vmUsers: null },
  capacity: capacity(12_000, 50_000),
  memoryFolder: { path: '/dev/shm' },
  missingPackages: [],
  image: { id: 'img_abcdef', createdAt: '2026-01-01T00:00:00Z', drivers: null, chromium: '150' },
  controller: null,
  portFree: true,
  upstream: null,
  refusedHosts: [],
  extraCa: null,
  vaultKey: null,
};
const slow = {
  ...good.probe,
  kvm: { present: true, usable: false, certain: true, reason: 'too slow' },
  countMs: { kvm: 83_000, tcg: 310 },
} as HostFacts['probe'];
const settings = (env: Record<string, string> = {}) => readSettings({ AIRLOCK_HOME: '/tmp/x', ...env });

test('a good host has nothing to do', () => {
  expect(judge(good, settings()).filter(({ status, todo }) => status !== 'ok' || todo !== '')).toEqual([]);
});

test.each<[string, Partial<HostFacts>, Record<string, string>, string, 'note' | 'blocks']>([
  ['old Node', { node: '18.20.4' }, {}, 'Node', 'blocks'],
  ['other system', { os: { id: 'ubuntu', codename: 'noble', name: 'Ubuntu' } }, {}, 'System', 'note'],
  ['package missing', { missingPackages: [{ name: 'zstd', why: 'x' }] }, {}, 'Packages', 'blocks'],
  ['no dpkg', { missingPackages: null }, {}, 'Packages', 'note'],
  ['probe failed', { probe: { error: 'boom' } }, {}, 'QEMU', 'blocks'],
  ['no firmware', { qbootRom: null }, {}, 'Firmware', 'blocks'],
  [
    'in the service without an image',
    { noNewPrivileges: true, userNamespaces: false, image: null },
    {},
    'User',
    'blocks',
  ],
  [
    'home that cannot be written to',
    { folders: { refused: [{ about: 'Home', found: 'x', todo: 'y' }], service: null } },
    {},
    'Home',
    'blocks',
  ],
  [
    'home outside of the service',
    { folders: { refused: [], service: { writable: ['/var/lib/airlock'] } } },
    {},
    'Service',
    'note',
  ],
  ['KVM too slow', { probe: slow }, {}, 'Virtualisation', 'note'],
  ['KVM demanded', { probe: slow }, { AIRLOCK_ACCEL: 'kvm' }, 'Virtualisation', 'blocks'],
  ['a VMM demanded that is not there', {}, { AIRLOCK_VMM: 'firecracker' }, 'VMM', 'blocks'],
  ['namespace demanded', { network: { problem: 'no helper', todo: 'install it' } }, {}, 'Network of VMs', 'blocks'],
  ['memory for one', { capacity: capacity(3500, 50_000) }, {}, 'Memory', 'note'],
  ['no memory', { capacity: capacity(1000, 50_000) }, {}, 'Memory', 'blocks'],
  ['little disk', { capacity: capacity(12_000, 3000) }, {}, 'Disk', 'note'],
  ['disk for a root alone', { capacity: capacity(12_000, 8000) }, {}, 'Disk', 'note'],
  ['disk for small homes', { capacity: capacity(12_000, 8000) }, { AIRLOCK_HOME_DISK_GIB: '100' }, 'Disk', 'note'],
  ['no memory for secrets', { memoryFolder: { problem: 'none' } }, {}, 'Secrets', 'blocks'],
  ['secrets on the disk', { memoryFolder: { problem: 'none' } }, { AIRLOCK_SECRETS_ON_DISK: 'yes' }, 'Secrets', 'note'],
  ['no disk for a build', { capacity: capacity(12_000, 6000), image: null }, {}, 'Disk', 'blocks'],
  ['no namespaces', { userNamespaces: false }, {}, 'User', 'note'],
  ['no namespaces, no image', { userNamespaces: false, image: null }, {}, 'User', 'blocks'],
  ['no subordinate ids', { subordinateIds: false }, {}, 'User', 'note'],
  ['no subordinate ids, no image', { subordinateIds: false, image: null }, {}, 'User', 'blocks'],
  ['image broken', { image: { problem: 'short' } }, {}, 'Image', 'note'],
  ['port taken', { portFree: false }, {}, 'Controller', 'blocks'],
  [
    'upstream down',
    { upstream: { address: 'h:1', reachable: false, reason: 'ECONNREFUSED' } },
    {},
    'Upstream proxy',
    'note',
  ],
  ['made-up address', { refusedHosts: [{ host: 'h.example', address: '198.18.0.4' }] }, {}, 'Names', 'note'],
  ['name on loopback', { refusedHosts: [{ host: 'h.example', address: '127.0.0.1' }] }, {}, 'Names', 'note'],
  ['vault key open to others', { vaultKey: { path: '/h/vault.key', mode: 0o644 } }, {}, 'Vault key', 'blocks'],
  ['CA unreadable', { extraCa: { problem: 'no', todo: 'yes' } }, {}, 'Extra CA', 'blocks'],
  ['key beside CA', { extraCa: { path: '/x', certificates: 1, others: ['PRIVATE KEY'] } }, {}, 'Extra CA', 'note'],
])('%s', (_name, facts, env, about, status) => {
  const finding = judge({ ...good, ...facts }, settings(env)).find((candidate) => candidate.about === about);
  expect(finding).toMatchObject({ status, todo: expect.stringMatching(/\w/) as string });
});

test('a driver that needs KVM is told where its program is there, and where it is not nothing is missing', () => {
  if ('error' in good.probe) throw new Error('The good host has a probe.');
  const [emulating] = good.probe.drivers;
  if (!emulating) throw new Error('The good host has a driver.');
  const other = { ...emulating, name: 'other', emulation: false, reason: 'It is there.' };
  const told = (drivers: (typeof other)[]): unknown[] =>
    judge({ ...good, probe: { ...good.probe, drivers } as HostFacts['probe'] }, settings()).filter(
      ({ about }) => about === 'other' || about === 'QEMU',
    );
  const qemu = { about: 'QEMU', status: 'ok', found: '10.0.2 (/usr/bin/qemu)' };
  expect(told([{ ...other, version: '1.16.1' }, emulating])).toMatchObject([
    qemu,
    { about: 'other', status: 'ok', found: 'It is there.' },
  ]);
  expect(told([{ ...other, version: null }, emulating])).toMatchObject([qemu]);
  expect(
    told([
      { ...other, version: null },
      { ...emulating, ok: false, reason: 'It is old.' },
    ]),
  ).toMatchObject([{ about: 'QEMU', status: 'blocks', found: 'It is old.' }]);
});

test.each([
  [good.probe, 'auto', 'kvm', 'counted fast'],
  [slow, 'auto', 'tcg', 'Software emulation, which is faster here: too slow'],
  [good.probe, 'tcg', 'tcg', 'AIRLOCK_ACCEL=tcg asks for software emulation.'],
])('the accelerator and its reason', (probe, wanted, accel, accelReason) => {
  expect(choose({ ...good, probe }, settings({ AIRLOCK_ACCEL: wanted }))).toMatchObject({ accel, accelReason });
});

test('a VMM that cannot be had takes nothing from what is known of KVM; why another one is not taken is told', () => {
  const blocked = judge(good, settings({ AIRLOCK_VMM: 'firecracker' }));
  expect(blocked.filter(({ status }) => status === 'blocks').map(({ about }) => about)).toEqual(['VMM']);
  expect(blocked.find(({ about }) => about === 'Virtualisation')).toMatchObject({ found: 'kvm (counted fast)' });
  if ('error' in good.probe) throw new Error('The good host has a probe.');
  const absent = { ...good.probe.drivers[0], name: 'other', emulation: false, ok: false, reason: 'It is not there.' };
  const probe = { ...good.probe, drivers: [absent, ...good.probe.drivers] } as HostFacts['probe'];
  for (const image of [good.image, null]) {
    const found = judge({ ...good, probe, image }, settings()).find(({ about }) => about === 'VMM');
    expect(found).toMatchObject({ status: 'ok', found: 'qemu: fine It is not there.' });
  }
});

test('how many VMs fit', () => {
  expect(choose(good, settings()).vmsThatFit).toBe(5);
  expect(choose(good, settings({ AIRLOCK_VM_MEMORY_MIB: '8192' })).vmsThatFit).toBe(1);
});

test('memory that was promised to a VM and not taken yet is not free', () => {
  const promised = { memoryMib: 8000, diskMib: 4096 };
  const vms = [{ vmId: 'vm_1', promised, taken: { memoryMib: 1000, diskMib: 1000 }, disks }];
  expect(choose({ ...good, capacity: { ...good.capacity, vms } }, settings()).vmsThatFit).toBe(2);
});

test('a host that its VMs fill may start its controller: only one on which no VM ever fits may not', () => {
  const vms = ['vm_1', 'vm_2'].map((vmId) => ({
    vmId,
    promised: { memoryMib: 2198, diskMib: 0 },
    taken: { memoryMib: 1000, diskMib: 0 },
    disks,
  }));
  const full = { ...good, capacity: { ...capacity(3500, 50_000), vms } };
  expect(choose(full, settings()).vmsThatFit).toBe(0);
  expect(judge(full, settings()).find(({ about }) => about === 'Memory')).toMatchObject({ status: 'note' });
  const small = { ...good, capacity: { ...capacity(100, 50_000), vms: vms.slice(1) } };
  expect(judge(small, settings()).find(({ about }) => about === 'Memory')).toMatchObject({ status: 'blocks' });
});

test('names that lead to made-up addresses are told with the way out', () => {
  const refusedHosts = ['a.example', 'b.example'].map((host) => ({ host, address: '198.18.0.4' }));
  expect(judge({ ...good, refusedHosts }, settings()).find(({ about }) => about === 'Names')).toMatchObject({
    found: expect.stringContaining('a.example, b.example: for this host the name leads to 198.18.0.4') as string,
    todo: expect.stringMatching(/AIRLOCK_UPSTREAM_PROXY.*AIRLOCK_ALLOWED_PRIVATE_HOSTS/) as string,
  });
});
