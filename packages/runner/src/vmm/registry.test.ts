import { expect, it } from 'vitest';
import { chooseDriver, drivers } from './registry.js';

it.each(drivers.map(({ name }) => name))('%s is found by its name', (name) => {
  expect(chooseDriver({ driver: name, accel: 'kvm' }).name).toBe(name);
});

it('names the drivers that there are when it is asked for another', () => {
  expect(() => chooseDriver({ driver: 'other', accel: 'kvm' })).toThrow(
    expect.objectContaining({ code: 'host_unsupported', message: expect.stringContaining(drivers[0]?.name ?? '?') }),
  );
});

it('each has a name of its own', () => {
  expect(new Set(drivers.map(({ name }) => name)).size).toBe(drivers.length);
});
