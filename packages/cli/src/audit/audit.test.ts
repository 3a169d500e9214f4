/** `airlock audit`, run as people run it, against a controller that the test plays. */
import { expect, test } from 'vitest';
import type { AuditRecord } from '@airlock/contract/audit';
import { useController, useHome } from '../testing.js';

const home = useHome();
const record: AuditRecord = {
  ...{ id: 7, at: '2026-01-01T00:00:00.000Z', actorId: 'usr_fedcba9876543210', actorName: 'admin', via: 'token' },
  ...{ action: 'home_backed_up', userId: 'usr_0123456789abcdef', subject: 'vm_0123456789abcdef' },
  details: { kind: 'cli' },
};
const { calls } = useController(home, () => ({ records: [record], more: true }));

test('shows each record on a line, and how to go on', async () => {
  const { stdout, stderr } = await home.airlock(['audit', '--user', 'ada', '--before', '9']);
  expect(stdout.split('\n')[1]).toMatch(/^7 .*admin +token .*copied to a backup\. +usr_0\w+ +vm_\w+ kind=cli$/);
  expect(stderr).toContain('airlock audit --before 7');
  expect(calls).toEqual(['GET /api/audit?limit=50&user=ada&before=9 Bearer the-token']);
  expect(JSON.parse((await home.airlock(['audit', '--json'])).stdout)).toEqual({ records: [record], more: true });
});
