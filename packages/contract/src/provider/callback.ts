/**
 * The address on loopback to which a provider's page sends a person back, pasted from a browser in which nothing listens there. It holds
 * a secret: no error quotes any of it. Pure.
 */
import { z } from 'zod';
import { AppError } from '../errors.js';

export interface Callback {
  /** Where the CLI listens. */
  redirectUri: URL;
  /** What this one sign-in is known by. */
  state: string;
}

const hosts = ['localhost', '127.0.0.1'];
const word = (characters: number) => z.string().regex(new RegExp(`^[\\x20-\\x7e]{1,${characters}}$`));
/** What the page says of the sign-in: a yes or a no. */
const Answer = z.union([
  z.strictObject({ code: word(2048), state: word(512), scope: word(1024).optional() }),
  z.strictObject({
    error: word(256),
    state: word(512),
    // In any language; the CLI shows it on its terminal.
    error_description: z
      .string()
      .regex(/^\P{C}{0,512}$/u)
      .optional(),
  }),
]);

/** True for http at a port of this computer, with nothing but a path and a query. */
export function isLoopback({ protocol, hostname, port, username, password, hash }: URL): boolean {
  const isHere = protocol === 'http:' && hosts.includes(hostname) && port !== '';
  return isHere && [username, password, hash].every((part) => part === '');
}

/** What the sign-in at this address comes back with; null when not to a port on loopback, or with no state. */
export function callbackOf(authorizeUrl: string): Callback | null {
  if (!URL.canParse(authorizeUrl)) return null;
  const { searchParams: query } = new URL(authorizeUrl);
  const [redirect = '', state = ''] = ['redirect_uri', 'state'].map((name) =>
    query.getAll(name).length === 1 ? (query.get(name) ?? '') : '',
  );
  if (state === '' || !URL.canParse(redirect)) return null;
  const redirectUri = new URL(redirect);
  return isLoopback(redirectUri) && redirectUri.search === '' ? { redirectUri, state } : null;
}

/**
 * Where to go in place of the person's browser: the CLI's own address, with the answer that was pasted.
 * @throws AppError invalid_request for any other address, and for one of another sign-in
 */
export function acceptedCallback({ redirectUri, state }: Callback, pasted: string): URL {
  const answer = answerIn(pasted.trim(), redirectUri);
  if (answer === null) {
    const expected = `${redirectUri.href}?code=…&state=…`;
    throw new AppError(
      'invalid_request',
      `What was pasted is not the address at which the sign-in ends: ${expected}.`,
      {
        hint: 'Sign in on the page. When your browser then cannot open the next one, copy the whole address from its address bar.',
      },
    );
  }
  if (answer.get('state') !== state) {
    throw new AppError('invalid_request', 'The address that was pasted is of another sign-in, or of an earlier try.', {
      hint: 'Sign in on the page that is shown for this try, and paste the address at which that ends.',
    });
  }
  const address = new URL(redirectUri);
  address.search = answer.toString();
  return address;
}

function answerIn(pasted: string, { port, pathname }: URL): URLSearchParams | null {
  // Letter by letter: what a URL parser would mend, or leave out, is no address that a browser shows.
  const before = hosts.map((host) => `http://${host}:${port}${pathname}?`).find((one) => pasted.startsWith(one));
  if (before === undefined || !/^[\x21\x22\x24-\x7e]+$/.test(pasted)) return null;
  const query = new URLSearchParams(pasted.slice(before.length));
  const members = Object.fromEntries(query);
  return Object.keys(members).length === query.size && Answer.safeParse(members).success ? query : null;
}
