import { describe, expect, it } from 'vitest';
import { acceptedCallback, callbackOf, type Callback } from './callback.js';

const state = 'F6io1Ey8Ev5nhNrFUgxQwe13ZMcgI1yJQprCjxB1q00';
const page = 'https://auth.openai.com/oauth/authorize';
const authorize = (redirect: string, more = ''): string =>
  `${page}?client_id=app&redirect_uri=${encodeURIComponent(redirect)}&state=${state}${more}`;
/** The secret of an address; no error may hold any of it. */
const code = 'ac_canary-4711';

function expected(redirect = 'http://127.0.0.1:1455/auth/callback'): Callback {
  const found = callbackOf(authorize(redirect));
  if (!found) throw new Error('it leads nowhere');
  return found;
}

describe('where a sign-in page leads back to', () => {
  it.each(['http://localhost:1455/auth/callback', 'http://127.0.0.1:39001/callback', 'http://localhost:8085/'])(
    'is a port on loopback: %s',
    (redirect) => {
      const { redirectUri, state: found } = expected(redirect);
      expect([redirectUri.href, found]).toEqual([redirect, state]);
    },
  );

  it.each([
    ['another host', authorize('http://evil.example:1455/auth/callback')],
    ['a host that begins alike', authorize('http://localhost.evil.example:1455/cb')],
    ['a page on the internet', authorize('https://platform.example/oauth/code/callback')],
    ['https', authorize('https://localhost:1455/auth/callback')],
    ['no port', authorize('http://localhost/auth/callback')],
    ['a user name', authorize('http://me@localhost:1455/auth/callback')],
    ['a query of its own', authorize('http://localhost:1455/auth/callback?a=b')],
    ['two of them', authorize('http://localhost:1455/a', '&redirect_uri=http%3A%2F%2Flocalhost%3A1456%2Fa')],
    ['two states', authorize('http://localhost:1455/a', '&state=b')],
    ['no state', `${page}?redirect_uri=http%3A%2F%2Flocalhost%3A1455%2Fa`],
    ['nothing', page],
    ['no address', 'x'],
  ])('is not known with %s', (_what, address) => expect(callbackOf(address)).toBeNull());
});

describe('a pasted address', () => {
  const query = `code=${code}&scope=openid+profile+email&state=${state}`;

  it.each([
    ['as the browser shows it', `http://127.0.0.1:1455/auth/callback?${query}`],
    ['by the other name of loopback', `http://localhost:1455/auth/callback?${query}`],
    ['with the white space of copying', `\n http://localhost:1455/auth/callback?${query}\t\r\n`],
  ])('is taken %s, and opened where the CLI listens', (_what, pasted) => {
    expect(acceptedCallback(expected(), pasted).href).toBe(`http://127.0.0.1:1455/auth/callback?${query}`);
  });

  it('is taken at the port and the path that the page was given, whatever they are', () => {
    const cli = expected('http://localhost:39001/cb');
    expect(acceptedCallback(cli, `http://localhost:39001/cb?state=${state}&code=${code}`).href).toBe(
      `http://localhost:39001/cb?state=${state}&code=${code}`,
    );
    expect(() => acceptedCallback(cli, `http://localhost:1455/auth/callback?${query}`)).toThrow('39001/cb?code=…');
  });

  it('may say that the person was refused', () => {
    const refusal = `error=access_denied&error_description=Zugriff+verweigert%3A+n%C3%B6&state=${state}`;
    const { searchParams } = acceptedCallback(expected(), `http://localhost:1455/auth/callback?${refusal}`);
    expect(Object.fromEntries(searchParams)).toEqual({
      ...{ error: 'access_denied', error_description: 'Zugriff verweigert: nö', state },
    });
  });

  it.each([
    ['of another sign-in', 'another'],
    ['whose state is longer', `${state}x`],
    ['whose state is cut', state.slice(0, -1)],
  ])('%s is refused as such, and not quoted', (_what, other) => {
    const paste = (): URL =>
      acceptedCallback(expected(), `http://localhost:1455/auth/callback?code=${code}&state=${other}`);
    expect(paste).toThrow(/another sign-in, or of an earlier try/);
    expect(paste).not.toThrow(/canary/);
  });

  const whole = `http://localhost:1455/auth/callback?${query}`;
  it.each([
    ['the sign-in page itself', authorize('http://127.0.0.1:1455/auth/callback', `&code=${code}`)],
    ['https', whole.replace('http:', 'https:')],
    ['without its scheme', whole.replace('http://', '')],
    ['in capitals', whole.replace('http', 'HTTP')],
    ['at another host', whole.replace('localhost', 'evil.example')],
    ['at a host that begins alike', whole.replace('localhost', 'localhost.evil.example')],
    ['at an address of loopback that no page is given', whole.replace('localhost', '127.0.0.2')],
    ['at the number of loopback', whole.replace('localhost', '2130706433')],
    ['by IPv6', whole.replace('localhost', '[::1]')],
    ['with a user name', whole.replace('//', '//localhost:1455@')],
    ['at another port', whole.replace('1455', '8080')],
    ['at the usual port', whole.replace(':1455', '')],
    ['at another path', whole.replace('/auth/callback', '/auth/cancel')],
    ['at a path below', whole.replace('/callback', '/callback/x')],
    ['with a fragment', `${whole}#x`],
    ['with another member', `${whole}&next=http://evil.example`],
    ['with an inherited name', `${whole}&toString=1`],
    ['with two codes', `${whole}&code=b`],
    ['with two states', `${whole}&state=${state}`],
    ['with code and error', `${whole}&error=access_denied`],
    ['without code or error', whole.replace(/code=[^&]*&/, '')],
    ['without state', whole.replace(/&state=.*/, '')],
    ['with an empty code', whole.replace(code, '')],
    ['with a line break in its code', whole.replace(code, `${code}%0d%0aHost:x`)],
    ['with a control character in what it says', whole.replace(/code.*&/, 'error=e&error_description=a%1b[2J&')],
    ['with a code without end', whole.replace(code, code.repeat(200))],
    ['with white space within', whole.replace(code, `${code} x`)],
    ['with a line break within', whole.replace('auth/', 'auth/\n')],
    ['with a path that leads there', whole.replace('/auth', '/x/../auth')],
    ['with a letter escaped', whole.replace('auth', '%61uth')],
    ['with a backslash', whole.replace('/auth/', '\\auth\\')],
    ['a code alone', code],
    ['nothing', ''],
  ])('that is none is refused, and not quoted: %s', (_what, pasted) => {
    const paste = (): URL => acceptedCallback(expected(), pasted);
    expect(paste).toThrow(
      expect.objectContaining({ code: 'invalid_request', hint: expect.stringContaining('address bar') as string }),
    );
    expect(paste).toThrow(
      'not the address at which the sign-in ends: http://127.0.0.1:1455/auth/callback?code=…&state=…',
    );
    expect(paste).not.toThrow(/canary|F6io/);
  });
});
