import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { startController } from './controller.js';
import { homePaths } from '@airlock/contract/home';

let home = '';
let program = '';
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'controller-test-'));
  program = join(home, 'main.mjs');
});
afterEach(async () => rm(home, { recursive: true }));

const ready = `console.log('one', process.env.AIRLOCK_PORT, process.env.AIRLOCK_HOME === import.meta.dirname, process.env.AIRLOCK_LEAK);
console.log('Airlock is ready: http://127.0.0.1:4711/login?token=abc');
setInterval(() => {}, 1000);`;

it('reads the ready line and the token, and ends it either way', async () => {
  await writeFile(homePaths(home).token, 'admin-token\n');
  await writeFile(program, `process.on('SIGTERM', () => { console.error('bye'); process.exit(3); });\n${ready}`);
  process.env['AIRLOCK_LEAK'] = 'must not be passed on';
  const controller = await startController({ home, program });
  delete process.env['AIRLOCK_LEAK'];
  expect(controller).toMatchObject({
    url: 'http://127.0.0.1:4711',
    loginUrl: 'http://127.0.0.1:4711/login?token=abc',
    token: 'admin-token',
  });
  expect(controller.log()).toContain('one 0 true undefined');
  expect(await controller.stop()).toBe(3);
  expect(controller.log()).toContain('bye');
  const second = await startController({ home, program });
  await second.kill9();
  expect(() => process.kill(second.pid, 0)).toThrow('ESRCH');
});

it('says why there is none: it ended, it was late, it did not end', async () => {
  await writeFile(program, `console.error('the port is taken'); process.exit(1);`);
  await expect(startController({ home, program })).rejects.toThrow(/ended with code 1[^]*the port is taken/);
  await writeFile(program, `console.log('still thinking'); setInterval(() => {}, 1000);`);
  await expect(startController({ home, program, timeoutMs: 2_000 })).rejects.toThrow(
    /within 2000 ms[^]*still thinking/,
  );
  await writeFile(homePaths(home).token, 'admin-token\n');
  await writeFile(program, `process.on('SIGTERM', () => {});\n${ready}`);
  const controller = await startController({ home, program });
  await expect(controller.stop(200)).rejects.toThrow(/did not end within 200 ms/);
});
