import { describe, expect, it } from 'vitest';
import { exampleConfig } from '../fixtures/config.js';
import { derOfPem, runFiles } from './files.js';

const pem = '-----BEGIN CERTIFICATE-----\nTUlJ\nQUJD\n-----END CERTIFICATE-----\n';

function contentOf(name: string, config = exampleConfig()): string | undefined {
  return runFiles(config, 'BASE\n', '/run/airlock').find((file) => file.name === name)?.content;
}

describe('runFiles', () => {
  it('sends browser and programs to the gateway', () => {
    expect(JSON.parse(contentOf('chromium-policy.json') ?? '')).toEqual({
      ProxySettings: { ProxyMode: 'fixed_servers', ProxyServer: '10.0.2.100:3128' },
    });
    expect(contentOf('proxy.env')).toContain('https_proxy=http://10.0.2.100:3128\n');
    expect(contentOf('proxy.env')).toContain('NO_PROXY=localhost,127.0.0.1\n');
    expect(contentOf('proxy.env')).toContain('TZ=Europe/Berlin\n');
  });

  it('writes an environment file that every reader understands', () => {
    const lines = (contentOf('proxy.env', exampleConfig({ extraCaPem: pem })) ?? '').trimEnd().split('\n');
    for (const line of lines) expect(line).toMatch(/^[A-Za-z_]+=[A-Za-z0-9:/.,_+-]+$/);
  });

  it('adds extra authorities everywhere', () => {
    const config = exampleConfig({ extraCaPem: pem + pem });
    expect(contentOf('ca-certificates.crt', config)).toBe(`BASE\n${pem}${pem}`);
    expect(contentOf('extra-ca.pem', config)).toBe(pem + pem);
    expect(contentOf('proxy.env', config)).toContain('NODE_EXTRA_CA_CERTS=/run/airlock/extra-ca.pem\n');
    expect(JSON.parse(contentOf('chromium-policy.json', config) ?? '')).toMatchObject({
      CACertificates: ['TUlJQUJD', 'TUlJQUJD'],
    });
  });

  it('names no name server', () => {
    expect(contentOf('resolv.conf')).not.toContain('nameserver');
  });

  it('lets only the desktop user read the VNC password, and writes none for a VM without desktop', () => {
    const files = runFiles(exampleConfig(), '', '/run/airlock');
    expect(files.find((file) => file.name === 'vnc-password')).toMatchObject({ mode: 0o400, forUser: true });
    expect(contentOf('vnc-password', exampleConfig({ vncPassword: null }))).toBeUndefined();
  });

  it('keeps the secrets of a VM out of every other file', () => {
    const config = exampleConfig({ extraCaPem: pem });
    const files = runFiles(config, '', '/run/airlock');
    for (const file of files) {
      expect(file.content).not.toContain(config.agentToken);
      expect(file.content).not.toContain(config.entropy);
    }
    const holders = files.filter((file) => file.content.includes(config.vncPassword ?? 'none'));
    expect(holders.map((file) => file.name)).toEqual(['vnc-password']);
  });
});

describe('derOfPem', () => {
  it.each([
    ['nothing', '', []],
    ['text around', `subject=x\r\n${pem.replaceAll('\n', '\r\n')}tail`, ['TUlJQUJD']],
    ['another kind of block', pem.replaceAll('CERTIFICATE', 'PRIVATE KEY'), []],
  ])('%s', (_what, text, expected) => {
    expect(derOfPem(text)).toEqual(expected);
  });
});
