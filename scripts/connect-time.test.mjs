/** The programs of the host give each address of a name seconds to let a connection in. The gateway's own: dialled.test.ts. */
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { attemptMs } from '@airlock/contract/connect-time';
import { run } from '@airlock/contract/process';

/** Loaded before the program: tells at its end what it has set. */
const told = `import net from 'node:net';
  process.on('exit', () => process.stderr.write('attempt ' + net.getDefaultAutoSelectFamilyAttemptTimeout()));`;
const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(told)}`;

test.each([
  ['the command line', '../packages/cli/bin/airlock.mjs', ['--version'], {}],
  // Ends at once, with what is wrong.
  ['the controller', '../packages/controller/dist/main.js', [], { AIRLOCK_PORT: 'none' }],
])('%s', async (_what, file, args, env) => {
  const { stderr } = await run(process.execPath, [fileURLToPath(new URL(file, import.meta.url)), ...args], {
    ...{ cleanEnv: true, okCodes: [0, 1], timeoutMs: 30_000 },
    env: { PATH: process.env.PATH, ...env, NODE_OPTIONS },
  });
  expect(attemptMs).toBeGreaterThanOrEqual(3000);
  expect(stderr).toContain(`attempt ${attemptMs}`);
});
