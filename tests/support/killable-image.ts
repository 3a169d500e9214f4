/**
 * An image for tests that kill: the golden one, and in its initrd the boot gate's helper, which kills inside the VM what a test
 * names. A drawn terminal window takes Chromium's place, which makes the desktop ready in half the time. The golden image, and
 * every VM of another home, stay as they are.
 */
import { copyFile, mkdir, open, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { homePaths } from '@airlock/contract/home';
import { imageFiles, ImageManifest } from '@airlock/contract/image';
import { checkFiles, hashFile } from '@airlock/contract/image-seal';
import { readVmSpec, runnerFiles } from '@airlock/contract/runner';
import { orderOf, reportOf, withHelper, type Part } from '@airlock/image-builder/gate/helper';
import type { TestHome } from './home.js';
import { until } from './poll.js';

/** Of Chromium's class, where its window would be, and with something drawn in it: that is what the agent waits for. */
const window =
  "/usr/bin/xterm -class Chromium -geometry 130x52+0+0 -e /bin/sh -c 'yes window | head -n 51; exec sleep inf'";
const cheapBrowser = `mkdir -p /run/systemd/system/airlock-browser.service.d
cat >/run/systemd/system/airlock-browser.service.d/test.conf <<'END'
[Service]
ExecStart=
ExecStart=${window}
END
`;

/** Gives the home this image for its own; before its first VM. */
export async function useKillableImage(home: TestHome): Promise<void> {
  const images = homePaths(home.path).images;
  const manifest = ImageManifest.parse(JSON.parse(await readFile(join(home.image, imageFiles.manifest), 'utf8')));
  const { kernel, initrd, rootfs } = manifest.artefacts;
  const folder = images.image(manifest.id);
  await rm(images.folder);
  await mkdir(folder, { recursive: true });
  for (const { file } of [kernel, rootfs]) await symlink(join(home.image, file), join(folder, file));
  const bytes = withHelper(await readFile(join(home.image, initrd.file)), cheapBrowser);
  await writeFile(join(folder, initrd.file), bytes);
  initrd.size = bytes.length;
  initrd.sha256 = await hashFile(join(folder, initrd.file));
  await writeFile(join(folder, imageFiles.manifest), JSON.stringify(manifest));
  await copyFile(join(home.image, imageFiles.seal), join(folder, imageFiles.seal));
  await checkFiles(folder, [kernel, initrd, rootfs]);
  await symlink(manifest.id, images.current);
}

/** Kills a process inside a VM of such an image, once it runs there; resolves when it is dead. */
export async function killInside(home: TestHome, vmId: string, part: Part): Promise<void> {
  const folder = homePaths(home.path).vm(vmId);
  const { secretFolder } = readVmSpec(await readFile(join(folder, runnerFiles.spec), 'utf8'));
  // The helper takes an order whose number is greater than the last one's.
  const order = Date.now();
  const drive = await open(join(secretFolder, `${vmId}.config`), 'r+');
  const bytes = orderOf(order, part);
  await drive.write(bytes, 0, bytes.length, 0).finally(() => drive.close());
  const report = async (): Promise<boolean> =>
    reportOf(await readFile(join(folder, runnerFiles.serialLog), 'latin1'), order, 'killed') !== null;
  await until(`${part} of ${vmId} to be killed`, report, { timeoutMs: 120_000, intervalMs: 50 });
}
