import { expect, test } from 'vitest';
import type { AuditRecord } from '@airlock/contract/audit';
import { byWhom } from './words.js';

const record: AuditRecord = {
  ...{ id: 1, at: '2026-01-01T00:00:00.000Z', actorId: 'usr_a', actorName: 'admin', via: 'token' },
  ...{ action: 'vm_stopped', userId: 'usr_b', subject: null, details: {} },
};

test.each([
  [record, 'usr_b', 'by admin by token'],
  [record, 'usr_a', 'by you by token'],
  [{ ...record, via: 'cookie' as const }, 'usr_a', 'by you in a browser'],
  [{ ...record, actorId: null, actorName: 'airlock', via: 'system' as const }, 'usr_b', 'by Airlock'],
])('whoever did it is said as its person knows them', (one, id, words) => {
  expect(byWhom(one, { id })).toBe(words);
});
