/** The environment of everything that a person's CLI and the checks run in. */
import { join } from 'node:path';
import { guestNetwork, guestUser, type GuestConfig } from '@airlock/contract/guest';
import { providers } from '@airlock/contract/provider/registry';
import type { AgentSettings } from './settings.js';

export type Variables = Readonly<Record<string, string>>;

/** Node's own, and those of CLIs that have another. */
const caVariables = ['NODE_EXTRA_CA_CERTS', ...Object.values(providers).flatMap((one) => one.caVariables ?? [])];

/** What makes programs use the egress gateway, trust the extra authorities and know the session; also /run/airlock/proxy.env. */
export function proxyVariables(config: GuestConfig, runFolder: string): Variables {
  const proxy = `http://${guestNetwork.gatewayHost}:${guestNetwork.gatewayPort}`;
  const direct = 'localhost,127.0.0.1';
  const extraCa = join(runFolder, 'extra-ca.pem');
  return {
    HTTP_PROXY: proxy,
    HTTPS_PROXY: proxy,
    http_proxy: proxy,
    https_proxy: proxy,
    NO_PROXY: direct,
    no_proxy: direct,
    SSL_CERT_FILE: join(runFolder, 'ca-certificates.crt'),
    TZ: config.timezone,
    ...(config.extraCaPem !== null && Object.fromEntries(caVariables.map((name) => [name, extraCa]))),
    ...(config.sessionId !== null && { SESSION_ID: config.sessionId }),
  };
}

/** A whole, clean environment: nothing of the agent's own (CI, DEBIAN_FRONTEND, SSH_*) may reach a CLI. */
export function userVariables(config: GuestConfig, settings: AgentSettings): Variables {
  return {
    HOME: settings.home,
    USER: guestUser.name,
    LOGNAME: guestUser.name,
    SHELL: '/bin/bash',
    PATH: settings.searchPath,
    TERM: 'xterm-256color',
    LANG: 'C.UTF-8',
    XDG_RUNTIME_DIR: `/run/user/${guestUser.uid}`,
    ...(config.kind === 'browser' && { DISPLAY: ':0', BROWSER: '/usr/local/bin/airlock-open-url' }),
    ...proxyVariables(config, settings.runFolder),
  };
}
