import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { redact, redactedTail, withoutSecrets } from './redact.js';

const token = 'aB3dE5gH7jK9mN1pQ3sT5vW7yZ';

describe('redact', () => {
  it.each([
    [
      'a query',
      'open https://auth.openai.com/oauth/authorize?client_id=a&state=b now',
      'open https://auth.openai.com/oauth/authorize?… now',
    ],
    ['a fragment', 'https://x.example/p#access_token=abc', 'https://x.example/p?…'],
    ['a user in an address', 'via http://bob:hunter2@proxy.example:10001/', 'via http://proxy.example:10001/'],
    ['a JWT', `got eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.sig_-x end`, 'got [redacted] end'],
    ['half a JWT', 'got eyJhbGciOi', 'got [redacted]'],
    ['a key by its prefix', 'key sk-proj-abcdefgh', 'key [redacted]'],
    ['a key that its CLI has masked', 'API key configured: sk-test-***lmnop', 'API key configured: [redacted]'],
    ['a named value', '"refresh_token": "abc", password=hunter2', '"refresh_token": "[redacted]", password=[redacted]'],
    ['a code', 'callback got code=ac_1&state=xyz', 'callback got code=[redacted]&state=[redacted]'],
    ['a header', 'Authorization: Bearer abc', 'Authorization: [redacted]'],
    ['an opaque word', `value ${token}`, 'value [redacted]'],
    [
      'ordinary words',
      'Successfully logged in to /home/airlock/.codex/auth.json',
      'Successfully logged in to /home/airlock/.codex/auth.json',
    ],
    [
      'a local address',
      'Starting local login server on http://localhost:1455.',
      'Starting local login server on http://localhost:1455.',
    ],
    ['a version', 'codex-cli 0.169.0', 'codex-cli 0.169.0'],
    ...[
      '    at UserRefreshClient.refreshTokenNoCache (file:///usr/local/lib/node_modules/@google/gemini-cli/bundle/chunk-3BON7LO7.js:279529:15)',
      '    at async OAuth2Client.getRequestMetadataAsync (/usr/local/lib/node_modules/@google/gemini-cli/bundle/gemini.js:5:1)',
      "Error: Cannot find module '/usr/local/lib/node_modules/at-least-node/index.js'",
      'at processTicksAndRejections (node:internal/process/task_queues:95:5)',
      'at /$bunfs/root/chunk-qbb0t7mc.js:12:7',
      'ValidationRequiredError: FatalAuthenticationError, ProjectIdRequiredError, GaxiosError',
      'exec /usr/lib/x86_64-linux-gnu/libnss3.so: no such file',
    ].map((line): [string, string, string] => [`a frame: ${line}`, line, line]),
    [
      'a token behind a program folder',
      `/usr/local/lib/node_modules/${token}/x and /usr/lib/a?key=${token}`,
      '/usr/local/lib/node_modules/[redacted]/x and /usr/lib/a?…',
    ],
    [
      'a program path as another server has it',
      `https://h.example/usr/lib/a?x=${token}`,
      'https://h.example/usr/lib/a?…',
    ],
  ])('%s', (_what, text, expected) => {
    expect(redact(text)).toBe(expected);
  });

  it('leaves no long random token behind, wherever it stands', () => {
    const random = fc.stringMatching(/^[A-Za-z0-9]{28,60}$/).filter((text) => /\d/.test(text) && /[a-z]/i.test(text));
    fc.assert(
      fc.property(
        random,
        fc.constantFrom('', 'x ', 'token: ', 'https://h.example/?q=', '"', '(', '='),
        (secret, before) => {
          expect(redact(`${before}${secret} after`)).not.toContain(secret);
        },
      ),
    );
  });
});

const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const randomOf = (unit: string, minLength: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom(...unit), minLength, maxLength: 90 });

it('leaves no long random token behind that has slashes, nor behind a program folder', () => {
  const before = ['', 'x ', '"', '(', '=', '/usr/local/lib/node_modules/', 'at (file:///usr/lib/', '/home/airlock/'];
  fc.assert(
    fc.property(randomOf(`${letters}0123456789+/`, 32), fc.constantFrom(...before), (secret, start) => {
      expect(redact(`${start}${secret} after`)).not.toContain(secret);
    }),
    { numRuns: 2000 },
  );
});

it('takes hardly any random letters for a name', () => {
  const texts = fc.sample(randomOf(letters, 32), 5000);
  // Of a million, 28 were as a name would be.
  expect(texts.filter((text) => redact(text).includes(text)).length).toBeLessThan(4);
});

describe('redactedTail', () => {
  it('keeps the last lines, without blank runs', () => {
    expect(redactedTail('one\n\n\n\ntwo  \nthree\n\n', 2, 100)).toBe('two\nthree');
    expect(redactedTail('one\n\n\n\ntwo\n', 9, 100)).toBe('one\n\ntwo');
  });

  it('redacts before it cuts', () => {
    expect(redactedTail(`password=${'a'.repeat(50)}`, 5, 12)).not.toContain('aaa');
  });
});

describe('withoutSecrets', () => {
  const secret = 'abcd.EFGH-1234#wxyz';
  it.each([
    ['as it is', `> ${secret} <`, '> [redacted] <'],
    ['twice', `${secret},${secret}`, '[redacted],[redacted]'],
    ['wrapped', '> abcd.EFGH\n-1234#wxyz\n', '> [redacted]\n'],
    ['in a frame', '│ abcd.EFGH │\n│ -1234#wxyz │', '│ [redacted] │'],
    ['cut short', '> abcd.EFG', '> [redacted]'],
    ['of other texts', 'abcd.X abc 1234', 'abcd.X abc 1234'],
  ])('hides one %s', (_what, text, expected) => {
    expect(withoutSecrets(text, [secret])).toBe(expected);
  });
});
