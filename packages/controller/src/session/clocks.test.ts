import { expect, test } from 'vitest';
import { clocks } from './clocks.js';

test('a session waits for a VM that gets on until its bound, and no less', () => {
  const settings = { AIRLOCK_SIGN_IN_TIMEOUT_S: 300, bootBoundMs: 400_500 };
  expect(clocks.vm_created.seconds(settings)).toBe(401 + 60);
  expect(clocks.delivering.seconds(settings)).toBe(2 * 401 + 300);
});
