/**
 * From power-on to a desktop: a browser VM made through the whole of Airlock, against bare QEMU with the same kernel,
 * initrd, rootfs and arguments. Both are probed by the same code, one VM at a time, with warm files.
 */
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { homePaths } from '@airlock/contract/home';
import { Vm } from '@airlock/contract/api';
import { AppError } from '@airlock/contract/errors';
import type { JsonClient } from '@airlock/contract/http-client';
import { imageFiles } from '@airlock/contract/image';
import { VmSpec } from '@airlock/contract/runner';
import { apiClient } from '../support/api.js';
import { startController } from '../support/controller.js';
import { createTestHome } from '../support/home.js';
import { until } from '../support/poll.js';
import { bootBare, bootTimeoutMs, type BootTimes } from './boot-bare.js';
import { alternate, figureOf, type Context, type Figure } from './figure.js';
import { listenAsProxy } from './proxy.js';

type AirlockTimes = BootTimes & { requestMs: number; spec: VmSpec };

export async function benchBoot(context: Context): Promise<Figure[]> {
  const home = await createTestHome();
  // The only Internet there is: nothing outside of this host is contacted.
  const nowhere = await listenAsProxy({ host: '127.0.0.1', port: 0 });
  try {
    for (const file of [imageFiles.kernel, imageFiles.initrd, imageFiles.rootfs]) {
      await once(createReadStream(join(home.image, file), { highWaterMark: 2 ** 22 }).resume(), 'close');
    }
    const env = { AIRLOCK_UPSTREAM_PROXY: `http://127.0.0.1:${nowhere.port}` };
    const controller = await startController({ home: home.path, env });
    const api = apiClient(controller.url, controller.token);
    try {
      return await measure(context, api, home.path);
    } finally {
      await api.close();
      await controller.stop();
    }
  } finally {
    nowhere.close();
    await home.remove();
  }
}

async function measure({ runs, signal, say }: Context, api: JsonClient, home: string): Promise<Figure[]> {
  let spec: VmSpec | undefined;
  const tell = (name: string, { vncMs, readyMs }: BootTimes): void =>
    say(`  ${name}: VNC after ${Math.round(vncMs)} ms, windows after ${Math.round(readyMs)} ms`);
  const whole = async (): Promise<AirlockTimes> => {
    const times = await bootThroughAirlock(api, home, signal);
    // What bare QEMU boots is what Airlock wrote into its specification, so that nothing can differ.
    ({ spec } = times);
    tell('airlock', times);
    return times;
  };
  const bare = async (): Promise<BootTimes> => {
    if (!spec) throw new AppError('internal', 'Airlock has booted nothing yet.');
    const times = await bootBare(spec, signal);
    tell('bare QEMU', times);
    return times;
  };
  const [ours, bares] = await alternate(runs ?? 2, signal, whole, bare);
  const requestToReadyMs = ours.map(({ requestMs }) => Math.round(requestMs));
  const figure = (name: string, key: keyof BootTimes, what: string): Figure =>
    figureOf({
      name,
      unit: 'ms',
      goal: { atMost: 1.15 },
      baseline: { what: `bare QEMU, power-on to ${what}`, samples: bares.map((times) => times[key]) },
      airlock: { what: `Airlock, power-on to ${what}`, samples: ours.map((times) => times[key]) },
      ...(key === 'readyMs' && { details: { requestToReadyMs } }),
    });
  return [figure('boot.vnc', 'vncMs', 'VNC banner'), figure('boot.windows', 'readyMs', 'browser and terminal windows')];
}

/** Makes a browser VM, waits until it is ready and destroys it. @throws AppError the VM's own failure */
async function bootThroughAirlock(api: JsonClient, home: string, signal: AbortSignal): Promise<AirlockTimes> {
  const started = performance.now();
  const { id } = await api.call('POST', '/api/vm', Vm, { body: { kind: 'browser', leaseMinutes: 15 } });
  const look = async (): Promise<(BootTimes & { requestMs: number }) | null> => {
    const { state, error, timings } = await api.call('GET', `/api/vm/${id}`, Vm);
    if (error) throw AppError.fromBody(error);
    if (state === 'destroyed') throw new AppError('vm_lost', `VM ${id} was destroyed before it was ready.`);
    const { vncMs, readyMs } = timings;
    return vncMs === null || readyMs === null ? null : { vncMs, readyMs, requestMs: performance.now() - started };
  };
  try {
    const times = await until(`VM ${id} to be ready`, look, { timeoutMs: bootTimeoutMs, intervalMs: 500, signal });
    const spec = VmSpec.parse(JSON.parse(await readFile(homePaths(home).vmFile(id, 'spec'), 'utf8')));
    return { ...times, spec };
  } finally {
    await api.call('DELETE', `/api/vm/${id}`, null, { timeoutMs: 60_000 });
  }
}
