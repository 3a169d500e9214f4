/**
 * An image for tests that kill: the golden one, and in its initrd the boot gate's helper, which kills inside the VM what a test
 * names. A drawn terminal window takes Chromium's place, which makes the desktop ready in half the time.
 */
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { homePaths } from '@airlock/contract/home';
import { readVmSpec, runnerFiles } from '@airlock/contract/runner';
import { orderOf, reportOf, withHelper, type Part } from '@airlock/image-builder/gate/helper';
import type { TestHome } from './home.js';
import { addImage, makeCurrent } from './image-variant.js';
import { until } from './poll.js';

/** Of Chromium's class and role, where its window would be, and with something drawn in it: that is what the agent waits for. */
const role = 'xprop -id $$WINDOWID -f WM_WINDOW_ROLE 8s -set WM_WINDOW_ROLE browser';
const window = `/usr/bin/xterm -name chromium -class Chromium -geometry 130x52+0+0 -e /bin/sh -c '${role}; yes window | head -n 51; exec sleep inf'`;
const cheapBrowser = `mkdir -p /run/systemd/system/airlock-browser.service.d
cat >/run/systemd/system/airlock-browser.service.d/test.conf <<'END'
[Service]
ExecStart=
ExecStart=${window}
END
`;

/** Gives the home this image for its own; before its first VM. Answers its folder. */
export async function useKillableImage(home: TestHome): Promise<string> {
  const id = await addImage(home, { initrd: (golden) => withHelper(golden, cheapBrowser) });
  await makeCurrent(home, id);
  return homePaths(home.path).images.image(id);
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
