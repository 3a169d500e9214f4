import { expect, test } from 'vitest';
import { createLog } from './log.js';

function capture(): { lines: string[]; write(line: string): void } {
  const lines: string[] = [];
  return { lines, write: (line) => void lines.push(line) };
}

test('writes one JSON object a line, with time and level by name', () => {
  const out = capture();
  createLog({ AIRLOCK_LOG_LEVEL: 'info' }, out).info({ vmId: 'vm_1' }, 'started');
  expect(JSON.parse(out.lines[0] ?? '')).toMatchObject({ level: 'info', vmId: 'vm_1', msg: 'started' });
});

test('hides secrets that are logged by mistake', () => {
  const out = capture();
  const log = createLog({ AIRLOCK_LOG_LEVEL: 'debug' }, out);
  log.info({ authorization: 'Bearer CANARY' }, 'top');
  log.info({ headers: { cookie: 'airlock=CANARY', authorization: 'Bearer CANARY', host: 'kept' } }, 'nested');
  log.info({ req: { headers: { authorization: 'Bearer CANARY', 'set-cookie': 'CANARY' } }, token: 'CANARY' }, 'deep');
  expect(out.lines.join('')).not.toContain('CANARY');
  expect(out.lines.join('')).toContain('kept');
});

test('keeps below its level quiet', () => {
  const out = capture();
  createLog({ AIRLOCK_LOG_LEVEL: 'warn' }, out).info('not written');
  expect(out.lines).toEqual([]);
});
