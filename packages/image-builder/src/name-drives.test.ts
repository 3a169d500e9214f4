/** How the guest's first program names its drives, with files in the place of disks. */
import { mkdir, mkdtemp, readdir, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { driveSize, encodeSlot } from '@airlock/contract/config-drive';
import type { GuestConfig } from '@airlock/contract/guest';
import { run } from '@airlock/contract/process';

const program = fileURLToPath(new URL('../chroot/name-drives', import.meta.url));

interface Disk {
  serial: string;
  content: Buffer;
}

/** What each name leads to, after a look at these disks: vda, vdb and so on. */
async function namesOf(disks: readonly Disk[]): Promise<Record<string, string>> {
  const root = await mkdtemp(join(tmpdir(), 'airlock-drives-'));
  onTestFinished(() => rm(root, { recursive: true }));
  const [sys, dev] = [join(root, 'sys'), join(root, 'dev')];
  await mkdir(dev);
  for (const [index, { serial, content }] of disks.entries()) {
    const name = `vd${'abcdef'[index]}`;
    await mkdir(join(sys, 'block', name), { recursive: true });
    await writeFile(join(sys, 'block', name, 'serial'), serial);
    await writeFile(join(sys, 'block', name, 'size'), `${content.length / 512}\n`);
    await writeFile(join(dev, name), content);
  }
  const { stderr } = await run('sh', [program, sys, dev]);
  expect(stderr).toBe('');
  const links = join(dev, 'disk', 'by-id');
  const names = (await readdir(links)).sort();
  const targets = await Promise.all(names.map(async (name) => basename(await readlink(join(links, name)))));
  return Object.fromEntries(names.map((name, index) => [name, targets[index] ?? '']));
}

/** A config drive whose newest generation is this one. */
function configDrive(generation: number): Buffer {
  const config: GuestConfig = {
    ...{
      version: 1,
      vmId: 'vm_0123456789abcdef',
      kind: 'browser',
      sessionId: null,
      hostname: 'h',
      timezone: 'Etc/UTC',
    },
    ...{ epochMs: 1, entropy: Buffer.alloc(64).toString('base64'), agentToken: 't'.repeat(40), vncPassword: null },
    ...{ homeKey: null, extraCaPem: null },
  };
  const { offset, bytes } = encodeSlot({ generation, config });
  const drive = Buffer.alloc(driveSize);
  bytes.copy(drive, offset);
  return drive;
}
const plain = Buffer.alloc(4096);
/** As a VMM numbers disks by their files' places. */
const numbered = (content: Buffer): Disk => ({ serial: '64768013107211', content });

it('takes the names that the VMM shows, in whatever order', async () => {
  const ids = ['config', 'home', 'root', 'more'];
  const disks = ids.map((id) => ({ serial: `airlock-${id}`, content: id === 'root' ? configDrive(1) : plain }));
  expect(await namesOf(disks)).toEqual({
    'virtio-airlock-config': 'vda',
    'virtio-airlock-home': 'vdb',
    'virtio-airlock-root': 'vdc',
    'virtio-airlock-more': 'vdd',
  });
});

it.each([1, 2])(
  'without names, finds the config drive by its content (generation %i), wherever it is',
  async (generation) => {
    const config = numbered(configDrive(generation));
    expect(await namesOf([numbered(plain), config])).toEqual({
      'virtio-airlock-root': 'vda',
      'virtio-airlock-config': 'vdb',
    });
    expect(await namesOf([config, numbered(plain), numbered(plain)])).toEqual({
      'virtio-airlock-config': 'vda',
      'virtio-airlock-root': 'vdb',
      'virtio-airlock-home': 'vdc',
    });
  },
);

it('takes no larger disk for the config drive, whoever wrote its name on it', async () => {
  const forged = Buffer.concat([configDrive(1), configDrive(2)]);
  expect(await namesOf([numbered(plain), numbered(forged), numbered(configDrive(1)), numbered(plain)])).toEqual({
    'virtio-airlock-root': 'vda',
    'virtio-airlock-home': 'vdb',
    'virtio-airlock-config': 'vdc',
  });
});
