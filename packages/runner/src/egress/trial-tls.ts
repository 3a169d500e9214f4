/** The certificate that a host shows at the end of a way, judged as programs in VMs judge it: who is not the host itself is named. */
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { isIP, type Socket } from 'node:net';
import { connect, rootCertificates, type DetailedPeerCertificate, type TLSSocket } from 'node:tls';

/** TLS does not come about, by a fault that is neither the upstream's nor the network's. */
export class TlsTrouble extends Error {
  constructor(
    readonly result: 'tls_untrusted' | 'tls_failed',
    message: string,
    readonly todo: string,
  ) {
    super(message);
  }
}

export interface Authorities {
  all: string[];
  /** Fingerprints (SHA-256) of those that AIRLOCK_EXTRA_CA names. */
  extra: Set<string>;
}

/** The public authorities, and those of a text of certificates. */
export function readAuthorities(extraCaPem: string | null): Authorities {
  const extra = extraCaPem?.match(/-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g) ?? [];
  return {
    all: [...rootCertificates, ...extra],
    extra: new Set(extra.map((pem) => new X509Certificate(pem).fingerprint256)),
  };
}

/**
 * TLS with `host` over a connection, which is destroyed when it does not come about. `middlebox`: the authority of AIRLOCK_EXTRA_CA by
 * which somebody on the way speaks for the host.
 * @throws TlsTrouble; the signal's reason
 */
export async function shakeHands(
  connection: Socket,
  host: string,
  { all, extra }: Authorities,
  signal: AbortSignal,
): Promise<{ socket: TLSSocket; middlebox: string | null }> {
  // An address is no name to ask for.
  const name = isIP(host) === 0 && { servername: host };
  const socket = connect({ socket: connection, host, ...name, ca: all, rejectUnauthorized: false });
  try {
    await once(socket, 'secureConnect', { signal });
    const issuers = issuersOf(socket.getPeerCertificate(true));
    if (!socket.authorized) throw untrusted(String(socket.authorizationError), issuers);
    const known = issuers.find(({ fingerprint256 }) => extra.has(fingerprint256));
    return { socket, middlebox: known ? nameOf(known) : null };
  } catch (error) {
    socket.destroy();
    connection.destroy();
    if (error instanceof TlsTrouble || signal.aborted) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    const found = `TLS fails (${code ?? message}): somebody on the way ends the connection, or speaks no TLS`;
    throw new TlsTrouble('tls_failed', found, 'Ask whoever runs the proxy or firewall to let the host through.');
  }
}

/** The certificate and those above it, as far as they are known. */
function issuersOf(first: DetailedPeerCertificate): DetailedPeerCertificate[] {
  const found: DetailedPeerCertificate[] = [];
  // The last one is its own issuer.
  for (let next = first; next?.fingerprint256 && !found.includes(next); next = next.issuerCertificate) found.push(next);
  return found;
}

function untrusted(reason: string, issuers: readonly DetailedPeerCertificate[]): TlsTrouble {
  const last = issuers.at(-1);
  const issuer = last ? nameOf({ subject: last.issuer }) : 'nobody';
  const found = `its certificate, by ${issuer}, is not trusted (${reason})`;
  return new TlsTrouble('tls_untrusted', found, 'If that is your own network, name its authority in AIRLOCK_EXTRA_CA.');
}

const nameOf = ({ subject }: Pick<DetailedPeerCertificate, 'subject'>): string =>
  JSON.stringify([subject.CN ?? subject.O ?? 'somebody without a name'].flat().join(', '));
