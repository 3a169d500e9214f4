/** The file that AIRLOCK_EXTRA_CA names. Only its certificates ever leave it, written anew: what else stands there is not for VMs. */
import { X509Certificate } from 'node:crypto';
import { maxPayload } from './config-drive.js';
import { AppError } from './errors.js';
import { readAtMost } from './file.js';

export interface ExtraCa {
  /** Certificates alone. */
  pem: string;
  certificates: number;
  /** What other blocks call themselves, such as `PRIVATE KEY`. */
  others: string[];
}

/** Bytes of the file, and of its certificates as they lie on a config drive, beside a VM's other configuration. */
const largest = 1024 * 1024;
const largestDelivered = maxPayload - 32 * 1024;
const isCertificate = (label: string): boolean => label === 'CERTIFICATE' || label === 'X509 CERTIFICATE';

/** @throws AppError config_invalid when it cannot be read, holds no certificate, or one that is none */
export async function readExtraCa(path: string): Promise<ExtraCa> {
  const wrong = (found: string, hint = 'Correct AIRLOCK_EXTRA_CA.', cause?: unknown): AppError =>
    new AppError('config_invalid', `AIRLOCK_EXTRA_CA names ${path}, ${found}.`, { hint, cause });
  const content = await readAtMost(path, largest).catch((error: NodeJS.ErrnoException) => {
    throw wrong(`which cannot be read (${error.code ?? 'unknown'})`, undefined, error);
  });
  if (content === null) throw wrong(`which has more than ${largest} bytes`);
  return certificatesIn(content, wrong);
}

function certificatesIn(content: Buffer, wrong: (found: string, hint?: string) => AppError): ExtraCa {
  const blocks = [...content.toString('latin1').matchAll(/-----BEGIN ([A-Z0-9 ]+)-----([^]*?)-----END \1-----/g)];
  const all = blocks.map(([, label = '', body = '']) => ({ label, body }));
  if (all.some(({ label }) => label === 'TRUSTED CERTIFICATE')) {
    throw wrong('which holds a trusted certificate of OpenSSL', 'Convert it: openssl x509 -in FILE -out NEW.pem');
  }
  const found = all.filter(({ label }) => isCertificate(label)).map(({ body }) => parse(body));
  const broken = found.indexOf(null);
  if (broken >= 0)
    throw wrong(`where certificate ${broken + 1} is broken`, 'Copy it anew, whole, with its two lines of dashes.');
  const begun = content.toString('latin1').match(/-----BEGIN (?:X509 )?CERTIFICATE-----/g)?.length ?? 0;
  if (begun !== found.length) throw wrong('where a certificate has no end', 'Copy it anew, whole.');
  if (found.length === 0) throw wrong(...whyNone(content, all[0]?.label));
  const delivered = Buffer.byteLength(JSON.stringify(found.join('')));
  if (delivered > largestDelivered)
    throw wrong(
      `whose ${found.length} certificates have ${delivered} bytes; a VM takes ${largestDelivered}`,
      'Leave out the authorities that browsers know anyway.',
    );
  const others = [...new Set(all.map(({ label }) => label).filter((label) => !isCertificate(label)))];
  return { pem: found.join(''), certificates: found.length, others };
}

/** The certificate in a PEM block, as PEM; null for what is none. */
function parse(body: string): string | null {
  if (!/^[A-Za-z0-9+/=\s]+$/.test(body)) return null;
  return ofDer(Buffer.from(body, 'base64'));
}

function ofDer(der: Buffer): string | null {
  try {
    return new X509Certificate(der).toString();
  } catch {
    return null;
  }
}

function whyNone(content: Buffer, label: string | undefined): [found: string, hint?: string] {
  if (label !== undefined) return [`which holds no certificate (but a ${label})`];
  if (ofDer(content) === null) return ['which holds no certificate in PEM form'];
  return ['which holds a certificate in DER form', 'Convert it: openssl x509 -inform der -in FILE -out NEW.pem'];
}
