import { expect, test } from 'vitest';
import type { AuditEntry } from '../audit/audit.js';
import { createRefusals } from './refusals.js';

test('wrong login tokens are noted sixty times an hour, however many come', async () => {
  const noted: AuditEntry[] = [];
  let now = 0;
  const note = createRefusals({ note: async (entry) => void noted.push(entry) }, () => now);
  for (let i = 0; i < 1000; i++) await note();
  expect(noted).toHaveLength(60);
  expect(noted.map(({ details }) => details?.['moreAreNotNoted']).filter(Boolean)).toHaveLength(1);
  now = 3_600_000;
  await note();
  expect(noted).toHaveLength(61);
});
