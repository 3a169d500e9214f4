/** The files of /run/airlock as text, from a configuration. Pure. */
import { guestNetwork, type GuestConfig } from '@airlock/contract/guest';
import { proxyVariables } from '../environment.js';

export interface RunFile {
  name: string;
  content: string;
  mode: number;
  /** True: only the desktop user may read it, and owns it. */
  forUser?: boolean;
}

/** The base64 DER of every certificate in a PEM text, as Chromium's `CACertificates` policy takes it. */
export function derOfPem(pem: string): string[] {
  const blocks = pem.matchAll(/-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+?)-----END CERTIFICATE-----/g);
  return Array.from(blocks, (block) => (block[1] ?? '').replace(/\s+/g, ''));
}

function chromiumPolicy(config: GuestConfig): string {
  return JSON.stringify({
    ProxySettings: {
      ProxyMode: 'fixed_servers',
      ProxyServer: `${guestNetwork.gatewayHost}:${guestNetwork.gatewayPort}`,
    },
    ...(config.extraCaPem !== null && { CACertificates: derOfPem(config.extraCaPem) }),
  });
}

function environmentFile(variables: Readonly<Record<string, string>>): string {
  // No comments and no quotes: shells, systemd and PAM read this file, and each has its own rules for them.
  return Object.entries(variables)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}

/** Every file, given the configuration and the certificate bundle of the image. */
export function runFiles(config: GuestConfig, baseCaBundle: string, runFolder: string): RunFile[] {
  const extraCa = config.extraCaPem === null ? '' : `${config.extraCaPem.trimEnd()}\n`;
  const open = (name: string, content: string): RunFile => ({ name, content, mode: 0o644 });
  return [
    open('resolv.conf', '# There is no DNS here: the egress gateway resolves names.\noptions timeout:1 attempts:1\n'),
    open('hosts', `127.0.0.1 localhost\n127.0.1.1 ${config.hostname}\n${guestNetwork.gatewayHost} gateway\n`),
    open('proxy.env', environmentFile(proxyVariables(config, runFolder))),
    open('ca-certificates.crt', `${baseCaBundle.trimEnd()}\n${extraCa}`),
    open('extra-ca.pem', extraCa),
    open('chromium-policy.json', chromiumPolicy(config)),
    open('timezone', `${config.timezone}\n`),
    ...(config.vncPassword === null
      ? []
      : [{ name: 'vnc-password', content: `${config.vncPassword}\n`, mode: 0o400, forUser: true }]),
  ];
}
