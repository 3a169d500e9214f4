/** For tests: the engine of this host, with nothing to start VMs from. */
import { AppError } from '@airlock/contract/errors';
import type { Engine } from './engine.js';
import { createLocalEngine } from './local.js';

export function openTestEngine(home: string): Engine {
  return createLocalEngine({
    settings: { AIRLOCK_HOME: home, AIRLOCK_SECRETS_ON_DISK: 'no' },
    imageFiles: (id) => Promise.reject(new AppError('image_missing', `There is no image ${id} in this test.`)),
    tscKhz: null,
    helperSocket: null,
  });
}
