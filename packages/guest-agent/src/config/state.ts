/** Which configuration is in force, and what went wrong with the last attempt to apply one. */
import { decodeDrive } from '@airlock/contract/config-drive';
import { AppError, type ErrorBody } from '@airlock/contract/errors';
import type { GuestConfig } from '@airlock/contract/guest';
import type { Log } from '../log.js';

export interface ConfigState {
  /** The newest configuration that was read; its token counts even when applying the rest of it failed. */
  config(): GuestConfig | null;
  /** Generation that was applied completely; 0 before the first. */
  generation(): number;
  error(): ErrorBody | null;
  /**
   * Takes what was read from the drive: bytes, or why nothing could be read. Applies it when it is newer than what is
   * in force, or when the last attempt failed. Calls follow one another. Never rejects.
   */
  take(read: Buffer | Error): Promise<void>;
}

export function createConfigState(apply: (config: GuestConfig) => Promise<void>, log: Log): ConfigState {
  let config: GuestConfig | null = null;
  let generation = 0;
  let failure: ErrorBody | null = null;
  let queue = Promise.resolve();

  async function takeOne(read: Buffer | Error): Promise<void> {
    try {
      if (read instanceof Error) throw noDrive(read);
      const content = decodeDrive(read);
      if (content.generation < generation || (content.generation === generation && failure === null)) return;
      config = content.config;
      await apply(content.config);
      generation = content.generation;
      failure = null;
      log('configured', { vmId: config.vmId, generation, msSinceStart: Math.round(performance.now()) });
    } catch (error) {
      const known = AppError.from(error);
      failure = known.toBody();
      log(`The configuration could not be applied: ${known.stack}`);
    }
  }

  return {
    config: () => config,
    generation: () => generation,
    error: () => failure,
    take: (read) => (queue = queue.then(() => takeOne(read))),
  };
}

function noDrive(error: Error): AppError {
  return new AppError('config_drive_invalid', `The config drive cannot be read: ${error.message}.`, {
    hint: 'The VM must have a drive with the serial number "airlock-config".',
    cause: error,
  });
}
