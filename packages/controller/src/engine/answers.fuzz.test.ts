/** Whatever a guest or its runner answers: the controller takes little of it, nothing that a database refuses, and no memory for it. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as fc from 'fast-check';
import { afterAll, beforeAll } from 'vitest';
import type { z } from 'zod';
import { fuzz } from '@airlock/contract/fixtures/fuzz';
import { hostileAnswer, requireHarmless, startReader, type Reader } from '@airlock/contract/fixtures/hostile';
import {
  CheckResult,
  CredentialBundle,
  GuestCredentials,
  GuestHealth,
  LoginStatus,
  PromptFrame,
} from '@airlock/contract/guest';
import { answerBytes } from '@airlock/contract/received';
import { ConfigureAnswer, RunnerStatus } from '@airlock/contract/runner';

const guest = { GuestHealth, LoginStatus, CredentialBundle, GuestCredentials, CheckResult, PromptFrame };
const runner = { RunnerStatus, ConfigureAnswer };
const program = fileURLToPath(new URL('fixtures/reader.mjs', import.meta.url));

let folder: string;
let server: Server;
let reader: Reader;
let body = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'airlock-answers-'));
  server = createServer((_request, response) => {
    response.end(body);
  });
  // The reader hangs up in the middle of what it does not take.
  server.on('connection', (socket) => socket.on('error', () => socket.destroy()));
  server.listen(join(folder, 's'));
  await once(server, 'listening');
  reader = await startReader(program, [join(folder, 's')]);
});
afterAll(async () => {
  await reader.end('guest and runner: answers');
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true });
});

const answersOf = (schemas: Record<string, z.ZodType>) =>
  fc.oneof(...Object.entries(schemas).map(([name, schema]) => fc.tuple(fc.constant(name), hostileAnswer(schema))));

async function holds([name, json]: [string, string]): Promise<void> {
  body = json;
  requireHarmless(await reader.read(name), name === 'CredentialBundle' ? answerBytes.bundle : answerBytes.plain);
}

fuzz('guest: answers', answersOf(guest), holds, { runs: 10, timeoutMs: 60_000 });
fuzz('runner: answers', answersOf(runner), holds, { runs: 10, timeoutMs: 60_000 });
