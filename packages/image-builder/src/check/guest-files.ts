/** The files of the guest that Airlock brings, and those that are links into the folder where the agent writes. */
import { guestPaths } from '@airlock/contract/guest';
import { timeZones } from '@airlock/contract/time-zone';
import type { Check } from './shell.js';

/** Files of the guest that are links into /run/airlock, where the agent writes. */
const pointers = {
  '/etc/resolv.conf': 'resolv.conf',
  '/etc/hosts': 'hosts',
  '/etc/localtime': 'localtime',
  '/etc/ssl/certs/ca-certificates.crt': 'ca-certificates.crt',
  '/etc/chromium/policies/managed/runtime.json': 'chromium-policy.json',
};

/** Proxy, names, clock, authorities, and the agent itself. */
export function guestFileChecks(): Check[] {
  return [
    {
      name: 'proxy template exports',
      script: `sh -n /etc/profile.d/airlock-proxy.sh && grep -F ${guestPaths.runFolder}/proxy.env /etc/profile.d/airlock-proxy.sh`,
    },
    {
      name: 'the proxy template has its other name, too',
      script: `test "$(readlink -f /etc/profile.d/decodo-proxy.sh)" = /etc/profile.d/airlock-proxy.sh`,
    },
    ...Object.entries(pointers).map(([path, target]) => ({
      name: `${path} points into ${guestPaths.runFolder}`,
      script: `test "$(readlink ${path})" = ${guestPaths.runFolder}/${target}`,
    })),
    { name: 'certificates are there', script: `grep -q 'BEGIN CERTIFICATE' /usr/share/airlock/ca-certificates.crt` },
    {
      name: 'every time zone that a setting may name is there',
      script: `cd /usr/share/zoneinfo && ls -L ${timeZones.join(' ')}`,
    },
    { name: 'agent is a program', script: `node --check ${guestPaths.agentBundle}` },
  ];
}
