/** For tests of the built program: it runs as people run it, in a home of its own, against a controller that the test plays. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach } from 'vitest';
import { homePaths } from '@airlock/contract/home';
import { run } from '@airlock/contract/process';

const bin = fileURLToPath(new URL('../bin/airlock.mjs', import.meta.url));

export interface TestHome {
  /** AIRLOCK_HOME, new for each test. */
  path: string;
  /** `input`: what comes on standard input. */
  airlock(args: string[], env?: Record<string, string>, input?: string): ReturnType<typeof run>;
}

export function useHome(): TestHome {
  const home = { path: '' };
  beforeEach(async () => {
    home.path = await mkdtemp(join(tmpdir(), 'al-cli-'));
  });
  afterEach(() => rm(home.path, { recursive: true }));
  return Object.assign(home, {
    airlock: (args: string[], env: Record<string, string> = {}, input?: string) =>
      run(process.execPath, [bin, ...args], {
        ...(input !== undefined && { input }),
        cleanEnv: true,
        env: { PATH: process.env['PATH'], HOME: home.path, AIRLOCK_HOME: home.path, ...env },
        okCodes: [0, 1],
        timeoutMs: 60_000,
      }),
  });
}

export interface TestController {
  /** What came, such as `GET /api/vm Bearer the-token`. */
  calls: string[];
  /** Their bodies, as far as there was one: of JSON what it says, of others a Buffer. */
  bodies: unknown[];
}

/** `answer` gives the JSON of a call (undefined: 404), or has answered by itself with `answered`. */
export function useController(
  home: TestHome,
  answer: (call: string, response: ServerResponse) => unknown,
): TestController {
  const controller: TestController = { calls: [], bodies: [] };
  let server: Server;
  beforeEach(async () => {
    controller.calls.length = 0;
    controller.bodies.length = 0;
    server = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const body = Buffer.concat(chunks);
      const isJson = request.headers['content-type'] === 'application/json';
      if (body.length > 0) controller.bodies.push(isJson ? JSON.parse(body.toString()) : body);
      controller.calls.push(`${request.method} ${request.url} ${request.headers.authorization}`);
      const json = answer(`${request.method} ${request.url}`, response);
      if (response.headersSent) return;
      const error = { code: 'not_found', message: 'No such thing.', hint: 'Look again.' };
      response.writeHead(json === undefined ? 404 : 200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(json ?? { error }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const url = `http://127.0.0.1:${port}`;
    const { controllerFile, token } = homePaths(home.path);
    await writeFile(controllerFile, JSON.stringify({ url, pid: process.pid }));
    await writeFile(token, 'the-token\n');
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return controller;
}
