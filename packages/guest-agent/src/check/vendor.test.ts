import { createServer, type IncomingHttpHeaders } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { expect, it, onTestFinished } from 'vitest';
import { createProcesses } from '../processes.js';
import { refusalOfVendor } from './vendor.js';

const key = 'sk-canary-0123456789abcdefghij';

/** Asks a server of this test with the real curl; answers what was made of it, and the headers that came. */
async function ask(
  status: number,
  body: string,
  value = `Bearer ${key}`,
): Promise<[string | null, IncomingHttpHeaders?]> {
  let headers: IncomingHttpHeaders | undefined;
  const server = createServer((request, response) => {
    ({ headers } = request);
    response.writeHead(status, { 'content-type': 'application/json' }).end(body);
  }).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const question = { url: `http://127.0.0.1:${port}/v1/models`, headers: { authorization: value }, refusedBy: [401] };
  const user = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  const deps = { processes: createProcesses(), variables: () => ({ PATH: '/usr/bin:/bin' }), home: tmpdir(), user };
  const answer = await refusalOfVendor(question, deps);
  return headers ? [answer, headers] : [answer];
}

const openAi = {
  error: {
    message: `Incorrect API key provided: ${key}.\nSee your account.`,
    type: 'invalid_request_error',
    code: 'invalid_api_key',
  },
};
const anthropic = { type: 'error', error: { type: 'authentication_error', message: 'invalid x-api-key' } };
const google = { error: { code: 401, message: 'API key expired.', status: 'UNAUTHENTICATED' } };

it.each([
  [
    'OpenAI, which quotes the key',
    openAi,
    /^127\.0\.0\.1 answers 401: invalid_api_key: Incorrect API key provided: \[redacted\]\S* See your account\.$/,
  ],
  ['Anthropic', anthropic, /answers 401: authentication_error: invalid x-api-key$/],
  ['Google', google, /answers 401: UNAUTHENTICATED: API key expired\.$/],
  ['ChatGPT', { detail: 'Unauthorized' }, /answers 401: Unauthorized$/],
  ['words that are none', { error: {} }, /answers 401: no reason$/],
])('tells what it says, in a line and without the key: %s', async (_who, body, line) => {
  const [said, headers] = await ask(401, JSON.stringify(body));
  expect(said).toMatch(line);
  expect(said).not.toContain(key.slice(0, 12));
  expect(headers).toMatchObject({ authorization: `Bearer ${key}` });
});

it.each([
  ['takes it', 200, '{"data":[]}'],
  ['knows it, and lets it read no list', 403, JSON.stringify(openAi)],
  ['is busy', 429, JSON.stringify(anthropic)],
  ['is out of order', 500, JSON.stringify(anthropic)],
  ['is not who answers', 401, '<html>Sign in to the network</html>'],
  ['is not who answers, in JSON', 401, '{"login":"here"}'],
])('says nothing against a login where the vendor %s', async (_what, status, body) => {
  expect((await ask(status, body))[0]).toBeNull();
});

it('asks nothing with what would be further headers', async () => {
  expect(await ask(401, JSON.stringify(openAi), `${key}\nhost: elsewhere`)).toEqual([null]);
});

it('says nothing where nobody answers', async () => {
  const processes = {
    ...createProcesses(),
    run: () => Promise.resolve({ exitCode: 7, output: '\n000', timedOut: false, startError: null }),
  };
  const user = { uid: 0, gid: 0 };
  const question = { url: 'https://vendor.example/v1', headers: { authorization: key }, refusedBy: [0, 401] };
  expect(await refusalOfVendor(question, { processes, variables: () => ({}), home: '/', user })).toBeNull();
});
