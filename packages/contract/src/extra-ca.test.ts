import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readExtraCa } from './extra-ca.js';

let folder: string;
const [one = '', two = ''] = rootCertificates.slice(0, 2).map((pem) => new X509Certificate(pem).toString());
const key = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();

beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'airlock-ca-'))));
afterAll(() => rm(folder, { recursive: true }));

async function read(content: string | Buffer): ReturnType<typeof readExtraCa> {
  const path = join(folder, 'ca.pem');
  await writeFile(path, content);
  return readExtraCa(path);
}
describe('certificates of further authorities', () => {
  it.each([
    ['alone', () => one + two, []],
    ['with a key before them', () => key + one + two, ['PRIVATE KEY']],
    ['with a key between them', () => one + key + two, ['PRIVATE KEY']],
    [
      'with an encrypted key of old',
      () =>
        `${one}${two}-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n`,
      ['RSA PRIVATE KEY'],
    ],
    [
      'with comments, and nothing in a line’s place',
      () => `\uFEFF# Müller’s\nsubject=/CN=one\n${one}\n\n# two\n${two.trimEnd()}`,
      [],
    ],
    ['of another system', () => (one + two).replaceAll('\n', '\r\n'), []],
    ['by their old name', () => (one + two).replaceAll(' CERTIFICATE-', ' X509 CERTIFICATE-'), []],
  ])('leave their file, %s', async (_name, content, others) => {
    expect(await read(content())).toEqual({ pem: one + two, certificates: 2, others });
  });

  it.each([
    ['nothing', () => '', /holds no certificate in PEM form/],
    ['a key alone', () => key, /holds no certificate \(but a PRIVATE KEY\)/],
    ['a broken certificate', () => one + two.replace(/\n.{20}/, '\nAAAA'), /certificate 2 is broken/],
    ['one with a key pasted inside', () => one.replace(/\n/, `\n${key}`), /certificate 1 is broken/],
    ['one that is cut off', () => one + two.slice(0, 300), /a certificate has no end/],
    ['one whose end is missing before another', () => one.replace(/-----END.*\n/, '') + two, /certificate 1 is broken/],
  ])('are not found in %s', async (_name, content, why) => {
    await expect(read(content())).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringMatching(why) as string,
    });
  });

  it('are not taken in forms that programs in VMs do not read, and it is said how to convert them', async () => {
    const der = Buffer.from(one.replaceAll(/-----.*-----|\s/g, ''), 'base64');
    await expect(read(der)).rejects.toMatchObject({
      message: expect.stringContaining('DER') as string,
      hint: expect.stringContaining('-inform der') as string,
    });
    const trusted = one.replaceAll(' CERTIFICATE-', ' TRUSTED CERTIFICATE-');
    await expect(read(trusted)).rejects.toMatchObject({
      message: expect.stringContaining('trusted certificate') as string,
      hint: expect.stringContaining('openssl x509 -in') as string,
    });
  });

  it('are not read from what is no such file', async () => {
    await expect(readExtraCa(join(folder, 'none'))).rejects.toThrow(/cannot be read \(ENOENT\)/);
    await expect(readExtraCa(folder)).rejects.toThrow(/cannot be read \(EISDIR\)/);
    await expect(read(one.repeat(500))).rejects.toThrow(/500 certificates have \d+ bytes; a VM takes \d+/);
    await expect(read(rootCertificates.join('\n'))).resolves.toMatchObject({ certificates: rootCertificates.length });
    await expect(read('x'.repeat(1024 * 1024 + 1))).rejects.toThrow(/more than 1048576 bytes/);
  });
});
