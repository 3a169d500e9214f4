/** The units of the guest: enabled, healed, and without rights that they do not need. */
import { guestPorts, guestUser } from '@airlock/contract/guest';
import type { Check } from './shell.js';

/** Units that must be enabled; those that are also watched have to come back by themselves. */
const watched = ['airlock-agent', 'airlock-xvfb', 'airlock-x11vnc', 'airlock-openbox', 'airlock-session'];
/** Units that run as the desktop user. */
const ofDesktopUser = ['airlock-xvfb', 'airlock-x11vnc', 'airlock-openbox', 'airlock-session', 'airlock-browser'];
const enabled = [
  ...watched.map((unit) => `${unit}.service`),
  'airlock-network.service',
  'airlock-browser.service',
  'airlock-xvfb.socket',
  'airlock-agent.socket',
  'airlock-configured.path',
];

const systemUnits = '/usr/lib/systemd/system';
/** Where a unit's file is. */
export const unitPath = (unit: string): string => `${systemUnits}/${unit}.service`;
const unitSays = (unit: string, line: string): string => `grep -x '${line}' ${unitPath(unit)}`;

/** Of all units, and of the two programs that a person may close. */
export function unitChecks(): Check[] {
  return [
    ...enabled.map((unit) => ({ name: `${unit} is enabled`, script: `systemctl is-enabled ${unit}` })),
    ...watched.map((unit) => ({
      name: `${unit} restarts on failure`,
      script: unitSays(unit, 'Restart=on-failure'),
    })),
    { name: 'a closed browser comes back', script: unitSays('airlock-browser', 'Restart=always') },
    {
      name: 'a closed terminal comes back',
      script: `grep -x 'Restart=always' '/etc/systemd/user/app-terminal@autostart.service.d/airlock.conf'`,
    },
    ...[...watched, 'airlock-browser'].map((unit) => ({
      name: `${unit} is never given up, and cannot gain rights`,
      script: ['StartLimitIntervalSec=0', 'NoNewPrivileges=yes', 'ProtectSystem=full']
        .map((line) => unitSays(unit, line))
        .join(' && '),
    })),
    ...ofDesktopUser.map((unit) => ({
      name: `${unit} runs as the desktop user, without capabilities, within its limits`,
      script: [`User=${guestUser.name}`, 'CapabilityBoundingSet=', 'Slice=airlock.slice']
        .map((line) => unitSays(unit, line))
        .join(' && '),
    })),
    {
      name: 'the limits of the desktop user leave room for the agent',
      script: `grep -x 'MemoryMax=85%' ${systemUnits}/airlock.slice && ${unitSays('airlock-agent', 'OOMScoreAdjust=-900')}`,
    },
    {
      name: 'systemd holds the port of the agent',
      script: `grep -x 'ListenStream=0.0.0.0:${guestPorts.agent}' ${systemUnits}/airlock-agent.socket`,
    },
    {
      name: 'units are well-formed',
      script: `! systemd-analyze verify --man=no /usr/lib/systemd/system/airlock-*.* 2>&1 | grep -F airlock-`,
    },
  ];
}
