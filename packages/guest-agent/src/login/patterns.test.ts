import { codex } from '@airlock/contract/provider/codex';
import { describe, expect, it } from 'vitest';
import { acceptedCode, findDeviceCode, findPageHost } from './patterns.js';
import { createTerminal } from './terminal.js';

const pattern = codex.login?.authorizeUrl ?? /never/;
const url = `https://auth.openai.com/oauth/authorize?response_type=code&state=${'s'.repeat(43)}&originator=codex_cli_rs`;
/** What codex 0.169 prints, in the colours of a terminal. */
const output = [
  'Starting local login server on http://localhost:1455.\r\n',
  'If your browser did not open, navigate to this URL to authenticate:\r\n\r\n',
  `\x1b[94m${url}\x1b[0m\r\n\r\n`,
  'On a remote or headless machine? Use `codex login --device-auth` instead.\r\n',
].join('');

it('finds the page of the real output, cut anywhere, and only once its address is whole', () => {
  // The line's end is what tells that the address has ended.
  const wholeAt = output.indexOf('\n', output.indexOf(url)) + 1;
  for (let cut = 0; cut <= output.length; cut += 1) {
    const terminal = createTerminal({ columns: 80, rows: 24 });
    terminal.feed(output.slice(0, cut));
    const early = findPageHost(terminal.text(), pattern, false);
    const expected = cut < wholeAt ? null : 'auth.openai.com';
    expect(early, `cut at ${cut}`).toBe(expected);
    terminal.feed(output.slice(cut));
    expect(findPageHost(terminal.text(), pattern, false), `cut at ${cut}`).toBe('auth.openai.com');
  }
});

it.each([
  ['nothing yet', 'Starting local login server', false, null],
  ['an address that may go on', `go to ${url}`, false, null],
  ['the same at the end of the output', `go to ${url}`, true, 'auth.openai.com'],
  ['another site', 'https://auth.openai.com.evil.example/oauth/authorize?x=1 ', false, null],
])('%s', (_what, text, isFinal, host) => {
  expect(findPageHost(text, pattern, isFinal)).toBe(host);
});

describe('a device code', () => {
  const patterns = { url: /https:\/\/auth\.example\/device/, code: /code: ([A-Z0-9]{4}-[A-Z0-9]{4,5})/ };
  it.each([
    ['the page alone', 'open https://auth.example/device now', false, null],
    ['a code that may go on', 'open https://auth.example/device and type code: AB12-CD34', false, null],
    ['the same at the end', 'open https://auth.example/device and type code: AB12-CD34', true, 'AB12-CD34'],
    ['both, whole', 'open https://auth.example/device and type code: AB12-CD345\n', false, 'AB12-CD345'],
  ])('%s', (_what, text, isFinal, code) => {
    const expected = code === null ? null : { url: 'https://auth.example/device', code };
    expect(findDeviceCode(text, patterns, isFinal)).toEqual(expected);
  });
});

it.each([
  ['a code', 'abcd-1234#state', 'abcd-1234#state'],
  ['a code with what copying adds', ' \tabcd-1234#state\r\n', 'abcd-1234#state'],
  ['a part of it', 'abcd-1234', null],
  ['a code and more', 'abcd-1234#state rm', null],
  ['a code and keys', 'abcd-1234#sta\rte', null],
])('takes %s for what it is', (_what, given, code) => {
  expect(acceptedCode(given, /[a-z0-9-]+#[^]+/)).toBe(code);
});
