import type { GuestConfig } from '@airlock/contract/guest';
import { expect, it } from 'vitest';
import { driveImage, exampleConfig } from '../fixtures/config.js';
import { createConfigState, type ConfigState } from './state.js';

/** A state whose applying fails for the host names given. */
function bench(...failing: string[]): { state: ConfigState; applied: string[] } {
  const applied: string[] = [];
  const apply = (config: GuestConfig): Promise<void> => {
    if (failing.includes(config.hostname)) return Promise.reject(new Error(`cannot apply ${config.hostname}`));
    applied.push(config.hostname);
    return Promise.resolve();
  };
  return { state: createConfigState(apply, () => undefined), applied };
}

const named = (hostname: string): GuestConfig => exampleConfig({ hostname });

it('applies a newer generation, and neither the same nor an older one again', async () => {
  const { state, applied } = bench();
  await state.take(driveImage(named('two'), 2));
  await state.take(driveImage(named('two-again'), 2));
  await state.take(driveImage(named('one'), 1));
  await state.take(driveImage(named('three'), 3));
  expect(applied).toEqual(['two', 'three']);
  expect([state.generation(), state.error()]).toEqual([3, null]);
});

it('reports a drive that cannot be read, or holds nothing, and nobody can authenticate', async () => {
  const { state } = bench();
  await state.take(new Error('ENOENT'));
  expect(state.error()).toMatchObject({ code: 'config_drive_invalid', message: expect.stringContaining('ENOENT') });
  await state.take(Buffer.alloc(1024 * 1024));
  expect(state.error()).toMatchObject({ code: 'config_drive_invalid', message: expect.stringContaining('no magic') });
  expect([state.config(), state.generation()]).toEqual([null, 0]);
});

it('keeps what is in force when a later drive is broken', async () => {
  const { state } = bench();
  await state.take(driveImage(named('one')));
  await state.take(Buffer.alloc(10));
  expect([state.config()?.hostname, state.generation(), state.error()?.code]).toEqual([
    'one',
    1,
    'config_drive_invalid',
  ]);
});

it('reports a failure in applying, and tries the same generation again when asked', async () => {
  const failing = ['one'];
  const { state, applied } = bench(...failing);
  await state.take(driveImage(named('one')));
  expect([state.generation(), state.error()?.message, state.config()?.hostname]).toEqual([
    0,
    expect.stringMatching(/^An unexpected fault occurred \(flt_/),
    'one',
  ]);
  await state.take(driveImage(named('repaired'), 1));
  expect([state.generation(), state.error(), applied]).toEqual([1, null, ['repaired']]);
});

it('applies one after the other', async () => {
  const { state, applied } = bench();
  await Promise.all([state.take(driveImage(named('one'), 1)), state.take(driveImage(named('two'), 2))]);
  expect(applied).toEqual(['one', 'two']);
});
