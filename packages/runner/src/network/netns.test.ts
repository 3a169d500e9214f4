import { expect, it } from 'vitest';
import { attachNamespace, jailFile } from './netns.js';

it.each([
  ['/h/images/img_0123456789/vmlinux', { of: 'image', imageId: 'img_0123456789', file: 'kernel' }],
  ['/h/images/img_0123456789/initrd.img', { of: 'image', imageId: 'img_0123456789', file: 'initrd' }],
  ['/h/images/img_0123456789/rootfs.ext4', { of: 'image', imageId: 'img_0123456789', file: 'rootfs' }],
  ['/h/vm/vm_1/disk.ext4', { of: 'home' }],
  ['/h/vm/vm_1/root.2.img_0123456789.ext4', { of: 'root', number: 2, imageId: 'img_0123456789' }],
  ['/m/airlock-1/vm_1/vm_1.config', { of: 'config' }],
  [
    '/h/saved/sav_0123456789abcdef/memory',
    { of: 'saved', savedId: 'sav_0123456789abcdef', file: 'memory', write: false },
  ],
])('%s is named to the helper by what it is', (path, file) => expect(jailFile({ path })).toEqual(file));

it.each([
  '/etc/shadow',
  '/h/images/current/vmlinux',
  '/h/saved/sav_0123456789abcdef/other',
  '/h/images/img_0123456789/seal.json',
])('a helper is not asked for %s', (path) =>
  expect(() => jailFile({ path })).toThrow(expect.objectContaining({ code: 'host_unsupported' })),
);

it('says so when no helper answers', async () => {
  const options = { vmId: 'vm_0123456789abcdef', desktop: true, helperSocket: '/nowhere/helper.sock' };
  await expect(attachNamespace(options)).rejects.toMatchObject({
    code: 'helper_unavailable',
    message: expect.stringContaining('/nowhere/helper.sock'),
  });
});
