/** How an upstream proxy is written. What a parser of URLs would silently read in another way than it stands there is refused. */

const form = 'expected http://USER:PASS@HOST:{port} (or a fixed port)';
const escapes = String.raw`percent-encode what is special in a URL: \ as %5C, % as %25, @ as %40, : as %3A, / as %2F`;

interface Parts {
  user: string;
  password: string;
  host: string;
  port: string;
}

/** Null for `http://USER:PASS@HOST:PORT`, the port and all before @ optional; otherwise what is wrong with it, and nothing of it. */
export function whyNoUpstream(url: string): string | null {
  const [, login = '', host, port = ''] =
    /^http:\/\/(?:(.*)@)?(\[[^\]@]*\]|[^:/?#@[\]]+)(?::(\d+))?\/?$/is.exec(url) ?? [];
  if (host === undefined) return `${form}, and nothing behind it; ${escapes}`;
  const at = login.indexOf(':');
  const [user, password] = at < 0 ? [login, ''] : [login.slice(0, at), login.slice(at + 1)];
  return whyNoLogin(user, password) ?? whyReadOtherwise(url, { user, password, host, port });
}

function whyNoLogin(user: string, password: string): string | null {
  const decoded = [decode(user), decode(password)];
  if (decoded.includes(null)) return `a % in the user name or password begins no encoded character; ${escapes}`;
  if (decoded[0]?.includes(':'))
    return 'a user name with a colon in it cannot be sent to a proxy (HTTP Basic ends it there)';
  if (user === '' && password !== '') return 'a password without a user name cannot be sent to a proxy';
  if (decoded.some((text) => /\p{Cc}/u.test(text ?? ''))) return 'a control character in the user name or password';
  return null;
}

function whyReadOtherwise(url: string, { user, password, host, port }: Parts): string | null {
  const read = URL.canParse(url) ? new URL(url) : null;
  if (read === null || decode(read.username) !== decode(user) || decode(read.password) !== decode(password)) {
    return `${form}; ${escapes}`;
  }
  if (read.hostname !== host.toLowerCase()) {
    return 'the host is read as another one: write a name in ASCII (xn--…), an IPv4 address as four numbers, an IPv6 address in its shortest form';
  }
  const wrongPort = port !== '' && (String(Number(port)) !== port || port === '0');
  return wrongPort ? 'the port is a number from 1 to 65535' : null;
}

function decode(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
