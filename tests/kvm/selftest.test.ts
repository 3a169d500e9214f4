/** A host with KVM serves: the product's own self-test, with the accelerator and the deadlines that it chose itself. */
import { cp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { homePaths } from '@airlock/contract/home';
import { run } from '@airlock/contract/process';
import { endController } from '../support/api.js';
import { startController, type RunningController } from '../support/controller.js';
import { createFakeInternet, type FakeInternet } from '../support/fake-internet.js';
import { createTestHome, type TestHome } from '../support/home.js';

const airlock = fileURLToPath(new URL('../../packages/cli/bin/airlock.mjs', import.meta.url));
const minutes = (n: number): number => n * 60_000;

let home: TestHome;
let internet: FakeInternet;
let controller: RunningController;

beforeAll(async () => {
  home = await createTestHome();
  internet = await createFakeInternet();
  const extraCa = join(home.path, 'test-ca.pem');
  await writeFile(extraCa, internet.caPem);
  const env = {
    AIRLOCK_UPSTREAM_PROXY: internet.upstreamTemplate,
    AIRLOCK_PROXY_PORT_BASE: String(internet.port),
    AIRLOCK_EXTRA_CA: extraCa,
  };
  // The image is read once, to be compared with its manifest: minutes in a host that is software itself.
  controller = await startController({ home: home.path, env, timeoutMs: minutes(8) });
}, minutes(10));

afterAll(async () => {
  await endController(controller);
  await keepWords();
  await internet.close();
  await home.remove();
}, minutes(5));

/** What controller and VMs said is among the results of `npm run test:kvm`. */
async function keepWords(): Promise<void> {
  const results = process.env['TEST_RESULTS'];
  if (results === undefined) return;
  await writeFile(join(results, 'words-of-the-controller.txt'), controller.log());
  const isSaid = (path: string): boolean => /\.log$|\.json$|\/vm$|\/vm_[^/.]*$/.test(path);
  await cp(homePaths(home.path).vms, join(results, 'machines'), { recursive: true, filter: isSaid });
}

it(
  'passes all ten criteria',
  async () => {
    const env = { AIRLOCK_HOME: home.path };
    const options = { env, timeoutMs: minutes(15), okCodes: [0, 1] };
    const { stdout } = await run(process.execPath, [airlock, 'selftest', '--minutes', '1'], options);
    process.stdout.write(stdout);
    expect(stdout).toContain('10 passed, 0 failed');
  },
  minutes(16),
);
