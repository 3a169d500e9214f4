/**
 * The fake internet as a program: `node tests/dist/support/fake-internet-main.js [--ports 10001-10003] [--ca-out FILE]`.
 * Prints the settings to start Airlock with, then stays until it is interrupted.
 */
import { randomBytes } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { createFakeInternet } from './fake-internet.js';

const usage = 'usage: fake-internet-main [--ports FIRST-LAST] [--ca-out FILE]';

function portRange(value: string): number[] {
  const match = /^(\d+)(?:-(\d+))?$/.exec(value);
  const first = Number(match?.[1]);
  const last = Number(match?.[2] ?? first);
  if (match === null || first < 1 || last > 65_535 || last < first || last - first > 99) {
    throw new RangeError(`--ports ${value}: expected FIRST-LAST, at most 100 ports, such as 10001-10003\n${usage}`);
  }
  return Array.from({ length: last - first + 1 }, (_unused, index) => first + index);
}

const { values } = parseArgs({
  options: {
    ports: { type: 'string', default: '10001-10003' },
    'ca-out': { type: 'string', default: join(tmpdir(), `airlock-fake-ca-${process.pid}.pem`) },
  },
});
const caFile = resolve(values['ca-out']);
const internet = await createFakeInternet({
  ports: portRange(values.ports),
  password: randomBytes(9).toString('base64url'),
  onRequest: ({ port, status, method, scheme, host, path }) =>
    process.stderr.write(`${port ?? '?'} ${status} ${method} ${scheme}://${host}${path}\n`),
});
await writeFile(caFile, internet.caPem);
process.stdout.write(
  [
    `export AIRLOCK_UPSTREAM_PROXY='${internet.upstreamTemplate}'`,
    `export AIRLOCK_PROXY_PORT_BASE=${internet.port}`,
    `export AIRLOCK_EXTRA_CA='${caFile}'`,
    `# account: ${internet.account.email} / ${internet.account.password}`,
    '# Fake internet is ready. Ctrl-C ends it.',
    '',
  ].join('\n'),
);

let ending = false;
async function end(): Promise<void> {
  if (ending) return;
  ending = true;
  await internet.close();
  await rm(caFile, { force: true });
}
process.on('SIGINT', () => void end());
process.on('SIGTERM', () => void end());
