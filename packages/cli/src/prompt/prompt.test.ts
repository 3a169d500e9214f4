/** `airlock prompt` as people run it, against a small server for the controller. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text as textOf } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';

const bin = fileURLToPath(new URL('../../bin/airlock.mjs', import.meta.url));
let home: string;
let server: Server;
let bodies: string[];
let play: (response: ServerResponse) => void;
let hungUp: boolean;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'al-cli-'));
  bodies = [];
  hungUp = false;
  server = createServer((request, response) => {
    void textOf(request).then((body) => {
      bodies.push(`${request.method} ${request.url} ${body}`);
      response.once('close', () => (hungUp = true));
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      play(response);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await writeFile(join(home, 'controller.json'), JSON.stringify({ url, pid: process.pid }));
  await writeFile(join(home, 'token'), 'the-token\n');
});
afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await rm(home, { recursive: true });
});

const event = (value: unknown): string => `data: ${JSON.stringify(value)}\n\n`;
const end = (exitCode: number | null): string => `${event({ exitCode })}data: [DONE]\n\n`;

function start(args: string[]) {
  const child = spawn(process.execPath, [bin, 'prompt', ...args], {
    env: { PATH: process.env['PATH'], HOME: home, AIRLOCK_HOME: home },
  });
  return { child, stdout: textOf(child.stdout), stderr: textOf(child.stderr), exit: once(child, 'close') };
}

async function airlock(args: string[], input = ''): Promise<{ code: unknown; stdout: string; stderr: string }> {
  const { child, stdout, stderr, exit } = start(args);
  child.stdin.end(input);
  const [code] = await exit;
  return { code, stdout: await stdout, stderr: await stderr };
}

test('the answer is on standard output, all else on standard error; the exit code is the CLI’s', async () => {
  play = (response) =>
    response.end(
      `: still here\n\n${event({ status: 'starting the CLI VM' })}${event({ chunk: 'one\n' })}${event({ chunk: 'two\n' })}${end(3)}`,
    );
  expect(await airlock(['codex', '--timeout', '60', '--cwd', 'work/a'], 'from standard input\n')).toEqual({
    code: 3,
    stdout: 'one\ntwo\n',
    stderr: 'starting the CLI VM\n',
  });
  const body = { provider: 'codex', prompt: 'from standard input\n', timeoutS: 60, cwd: 'work/a' };
  expect(bodies).toEqual([`POST /api/vm/me/cli/prompt ${JSON.stringify(body)}`]);
});

test('--json prints every event, and an argument is taken as text', async () => {
  play = (response) => response.end(`${event({ status: 's' })}${event({ chunk: 'c' })}${end(0)}`);
  const { code, stdout } = await airlock(['codex', 'hello', '--json']);
  expect([code, stdout]).toEqual([0, '{"status":"s"}\n{"chunk":"c"}\n{"exitCode":0}\n']);
  expect(bodies[0]).toContain('"prompt":"hello"');
});

test('an error is told with its code; a CLI that did not end by itself is 1', async () => {
  const error = { code: 'prompt_timeout', message: 'Too slow.', hint: 'Ask for less.' };
  play = (response) => response.end(`${event({ chunk: 'half' })}${event({ error })}${end(null)}`);
  expect(await airlock(['codex', 'x'])).toEqual({
    code: 1,
    stdout: 'half',
    stderr: 'error: Too slow.\nhint: Ask for less.\ncode: prompt_timeout\n',
  });
});

test('Ctrl-C cancels', async () => {
  play = (response) => void response.write(event({ chunk: 'first' }));
  const { child, stdout, exit } = start(['codex', 'x']);
  await once(child.stdout, 'data');
  child.kill('SIGINT');
  expect((await exit)[0]).toBe(130);
  await stdout;
  await expect.poll(() => hungUp).toBe(true);
});

test.each([
  [['codex'], '  \n', 'There is no prompt'],
  [['codex', 'x', '--timeout', 'soon'], '', 'expected a whole number of seconds'],
])('%j with %j is refused before anything is asked', async (args, input, message) => {
  const { code, stderr } = await airlock(args, input);
  expect(code).toBe(1);
  expect(stderr).toContain(message);
  expect(bodies).toEqual([]);
});
