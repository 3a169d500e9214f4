import { describe, expect, it } from 'vitest';
import { ZodError } from 'zod';
import { requestOf, type Call } from './api.js';
import {
  isAtLeast,
  kernelCommandLine,
  loadCalls,
  programArguments,
  refreshCall,
  setupCalls,
  type SetupOptions,
} from './setup.js';

const vm: SetupOptions = {
  ...{ cpus: 2, memoryMib: 2048, kernelArguments: 'console=ttyS0 root=/dev/root' },
  drives: [
    { id: 'root', path: '/i/rootfs.ext4', readOnly: true },
    { id: 'home-2', path: '/v/disk.ext4', readOnly: false },
  ],
  network: {
    type: 'tap',
    namespace: 'n',
    name: 'tap0',
    mac: '02:00:00:00:00:01',
    launch: () => Promise.reject(new Error('not here')),
  },
};
const sent = (calls: readonly Call[]): string[] =>
  calls.map(requestOf).map(({ method, path, content }) => `${method} ${path} ${content}`);

describe('a VM', () => {
  it('is described in the order in which its guest sees it, and started last', () => {
    expect(sent(setupCalls(vm, '1.12.1'))).toEqual([
      'PUT /machine-config {"vcpu_count":2,"mem_size_mib":2048,"smt":false}',
      'PUT /boot-source {"kernel_image_path":"vmlinux","initrd_path":"initrd.img","boot_args":"reboot=k airlock.off=reset pci=off console=ttyS0 root=/dev/root"}',
      'PUT /drives/root {"drive_id":"root","path_on_host":"drive-root","is_read_only":true,"is_root_device":false,"cache_type":"Unsafe"}',
      'PUT /drives/home_2 {"drive_id":"home_2","path_on_host":"drive-home-2","is_read_only":false,"is_root_device":false,"cache_type":"Writeback"}',
      'PUT /network-interfaces/net0 {"iface_id":"net0","host_dev_name":"tap0","guest_mac":"02:00:00:00:00:01"}',
      'PUT /entropy {}',
      'PUT /actions {"action_type":"InstanceStart"}',
    ]);
  });

  it('has its console in a place of its own where the version can', () => {
    const serial = 'PUT /serial {"serial_out_path":"serial.fifo"}';
    expect(sent(setupCalls(vm, '1.14.0'))[0]).toBe(serial);
    expect(sent(loadCalls(vm, '1.16.1'))[0]).toBe(serial);
    expect(sent(loadCalls(vm, '1.13.2'))).not.toContain(serial);
  });

  it('is loaded with the tap of its own host, and stands still', () => {
    expect(sent(loadCalls(vm, '1.12.1'))).toEqual([
      'PUT /snapshot/load {"snapshot_path":"snapshot.state","mem_backend":{"backend_type":"File","backend_path":"snapshot.memory"},' +
        '"resume_vm":false,"network_overrides":[{"iface_id":"net0","host_dev_name":"tap0"}]}',
    ]);
  });

  it.each([setupCalls, loadCalls])('takes no network but a tap', (callsOf) => {
    const network = { type: 'user', forwards: [], gatewaySocket: '/e.sock' } as const;
    expect(() => callsOf({ ...vm, network }, '1.12.1')).toThrow(expect.objectContaining({ code: 'host_unsupported' }));
  });

  it('is told where to listen, and where to write what it says', () => {
    expect(programArguments.join(' ')).toBe(
      '--api-sock api.sock --log-path log.fifo --level Error --metrics-path metrics.fifo',
    );
  });
});

it('a drive is looked at again by its name', () => {
  expect(sent([refreshCall('config')])).toEqual([
    'PATCH /drives/config {"drive_id":"config","path_on_host":"drive-config"}',
  ]);
});

it.each(['../root', '/etc/passwd', 'a/b', ''])('a place outside of its folder is no call: %s', (path_on_host) => {
  expect(() => requestOf({ name: 'PATCH /drives/{drive_id}', body: { drive_id: 'root', path_on_host } })).toThrow(
    ZodError,
  );
});

it('its kernel resets the machine where it would switch it off', () => {
  expect(kernelCommandLine({ kernelArguments: 'x' })).toBe('reboot=k airlock.off=reset pci=off x');
});

it.each([
  ['1.12.1', '1.12', true],
  ['1.12', '1.12', true],
  ['v1.16.1', '1.14', true],
  ['2.0.0', '1.14', true],
  ['1.9.1', '1.12', false],
  ['1.12.1', '1.14', false],
  ['0.25.2', '1.12', false],
  ['unknown', '1.12', false],
])('version %s is at least %s: %s', (version, wanted, expected) => {
  expect(isAtLeast(version, wanted)).toBe(expected);
});
