/** Whatever an agent says of its health: the runner takes little of it, and no memory for it. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll } from 'vitest';
import { fuzz } from '@airlock/contract/fixtures/fuzz';
import { hostileAnswer, requireHarmless, startReader, type Reader } from '@airlock/contract/fixtures/hostile';
import { GuestHealth } from '@airlock/contract/guest';
import { answerBytes } from '@airlock/contract/received';

const program = fileURLToPath(new URL('fixtures/reader.mjs', import.meta.url));

let folder: string;
let server: Server;
let reader: Reader;
let body = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'airlock-health-'));
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
  await reader.end('runner: health of an agent');
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true });
});

fuzz(
  'runner: health of an agent',
  hostileAnswer(GuestHealth),
  async (json) => {
    body = json;
    requireHarmless(await reader.read('health'), answerBytes.plain);
  },
  { runs: 6, timeoutMs: 60_000 },
);
