import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { chooseNetwork } from './network-choice.js';

let folder: string;
let server: Server | undefined;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'airlock-network-'));
});
afterEach(async () => {
  server?.close();
  server = undefined;
  await rm(folder, { recursive: true });
});

/** A helper that says `answer` to whatever it is asked. */
async function helperThatSays(answer: string): Promise<string> {
  const path = join(folder, 'helper.sock');
  server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.once('data', () => {
      // In two pieces: where one ends is chance.
      socket.write(answer.slice(0, 5), () => setImmediate(() => socket.end(answer.slice(5))));
    });
  });
  await once(server.listen(path), 'listening');
  return path;
}

const status = (problem: string | null, more = {}): string => `${JSON.stringify({ version: 1, problem, ...more })}\n`;

it('takes a namespace where a helper makes one, and says why', async () => {
  const vmUsers = { first: 70000, last: 70999 };
  const socket = await helperThatSays(status(null, { vmUsers }));
  const expected = { network: 'netns', helperSocket: socket, networkReason: expect.stringContaining(socket), vmUsers };
  for (const wanted of ['auto', 'netns'] as const) expect(await chooseNetwork(wanted, socket)).toEqual(expected);
});

it('leaves the choice of user ids to a helper that does not tell them', async () => {
  expect(await chooseNetwork('netns', await helperThatSays(status(null)))).toMatchObject({ vmUsers: null });
});

it('asks no helper where the user network is asked for', async () => {
  const socket = await helperThatSays(status(null));
  expect(await chooseNetwork('user', socket)).toMatchObject({ network: 'user', helperSocket: null });
});

it.each([
  ['there is none', null, 'helper_unavailable', /ENOENT/],
  ['it lacks something', status('nft is not installed.'), 'network_unavailable', /nft is not installed/],
  ['it says something else', 'HTTP/1.1 400 Bad Request\r\n', 'helper_unavailable', /helper\.sock/],
  ['it says what nobody knows', '{"version":2}\n', 'helper_unavailable', /helper\.sock answers "status"/],
  ['it ends in the middle of a word', '{"version":1,', 'helper_unavailable', /helper\.sock has ended/],
] as const)(
  'falls back, with the reason, or fails where a namespace is demanded: %s',
  async (_, answer, code, reason) => {
    const socket = answer === null ? join(folder, 'helper.sock') : await helperThatSays(answer);
    const { network, networkReason } = await chooseNetwork('auto', socket);
    expect([network, networkReason]).toEqual(['user', expect.stringMatching(reason)]);
    await expect(chooseNetwork('netns', socket)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(reason),
    });
  },
);
