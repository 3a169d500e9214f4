/** The boot gate in full, on the golden image that the other tests use: what `airlock image verify` runs. */
import { expect, it } from 'vitest';
import { runGate } from '@airlock/image-builder/gate/gate';
import { createTestHome } from '../support/home.js';
import { takeSnapshot, untilNoLeaks } from '../support/leaks.js';

it('passes: boots, shows both windows, and heals after every kill', async ({ signal }) => {
  const home = await createTestHome();
  const before = await takeSnapshot({ home: home.path });
  const notes: string[] = [];
  const note = (line: string): void => void notes.push(line);
  const report = await runGate(home.image, { signal, note, full: true });
  expect(report, notes.join('\n')).toMatchObject({ passed: true });
  expect(report.figures['kills']).toBe(26);
  await untilNoLeaks(before, 20_000);
  await home.remove();
}, 900_000);
