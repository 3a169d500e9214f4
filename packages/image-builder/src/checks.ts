/** What a root must show, from inside, before it may become an image. Each check is a piece of shell that ends with 0. */
import { AppError } from '@airlock/contract/errors';
import { guestPaths, guestUser } from '@airlock/contract/guest';
import type { Description } from './description.js';

export interface Check {
  name: string;
  script: string;
}

/** Where finish.sh and the checks live inside the root while it is being made. */
export const buildDir = '/usr/lib/airlock/build';

const listInitrd = `cpio --quiet --list <${buildDir}/initrd.img`;

/** Units that must be enabled; those that are also watched have to come back by themselves. */
const watched = ['airlock-agent', 'airlock-xvfb', 'airlock-x11vnc', 'airlock-openbox', 'airlock-session'];
const enabled = [
  ...watched.map((unit) => `${unit}.service`),
  'airlock-network.service',
  'airlock-browser.service',
  'airlock-xvfb.socket',
  'airlock-configured.path',
];

/** Files of the guest that are links into /run/airlock, where the agent writes. */
const pointers = {
  '/etc/resolv.conf': 'resolv.conf',
  '/etc/hosts': 'hosts',
  '/etc/localtime': 'localtime',
  '/etc/ssl/certs/ca-certificates.crt': 'ca-certificates.crt',
  '/etc/chromium/policies/managed/runtime.json': 'chromium-policy.json',
};

const program = (name: string): Check => ({ name: `which ${name}`, script: `command -v ${name}` });

/** All checks, in the order in which they are run. */
export function checksFor({ clis }: Pick<Description, 'clis'>): Check[] {
  return [
    { name: 'node is v20', script: `node --version | grep -E '^v20[.]'` },
    ...clis.map((cli) => program(cli.command)),
    ...['x11vnc', 'Xvfb', 'openbox', 'xterm', 'curl', 'git', 'xdg-open', 'airlock-open-url', 'fscryptctl'].map(program),
    ...clis.map((cli) => ({
      name: `${cli.command} --version is ${cli.version}`,
      script: `${cli.command} --version 2>&1 | grep -F '${cli.version}'`,
    })),
    { name: 'chromium is a real browser', script: `/usr/lib/chromium/chromium --version | grep -E '^Chromium [0-9]+'` },
    ...enabled.map((unit) => ({ name: `${unit} is enabled`, script: `systemctl is-enabled ${unit}` })),
    ...watched.map((unit) => ({
      name: `${unit} restarts on failure`,
      script: `grep -x 'Restart=on-failure' /usr/lib/systemd/system/${unit}.service`,
    })),
    {
      name: 'units are well-formed',
      script: `! systemd-analyze verify --man=no /usr/lib/systemd/system/airlock-*.* 2>&1 | grep -F airlock-`,
    },
    {
      name: 'xterm starts through autostart',
      script: `grep -x 'Exec=/usr/bin/xterm.*' /etc/xdg/autostart/xterm.desktop`,
    },
    {
      name: 'proxy template exports',
      script: `sh -n /etc/profile.d/airlock-proxy.sh && grep -F ${guestPaths.runDir}/proxy.env /etc/profile.d/airlock-proxy.sh`,
    },
    ...Object.entries(pointers).map(([path, target]) => ({
      name: `${path} points into ${guestPaths.runDir}`,
      script: `test "$(readlink ${path})" = ${guestPaths.runDir}/${target}`,
    })),
    { name: 'certificates are there', script: `grep -q 'BEGIN CERTIFICATE' /usr/share/airlock/ca-certificates.crt` },
    { name: 'agent is a program', script: `node --check ${guestPaths.agentBundle}` },
    {
      name: 'browser policy is JSON',
      script: `node -e 'JSON.parse(require("fs").readFileSync("/etc/chromium/policies/managed/airlock.json"))'`,
    },
    {
      name: 'home is empty and the user’s',
      script: `test -z "$(ls -A ${guestPaths.home})" && test "$(stat -c %u:%g:%a ${guestPaths.home})" = ${guestUser.uid}:${guestUser.gid}:700`,
    },
    { name: 'machine-id is not set', script: 'test -f /etc/machine-id && test ! -s /etc/machine-id' },
    { name: 'no remote login, no cron', script: '! command -v sshd && ! command -v cron' },
    {
      name: 'initrd starts by itself',
      script: `${listInitrd} | grep -x init && ${listInitrd} | grep -x bin/busybox && ! ldd /usr/bin/busybox`,
    },
    ...['virtio_mmio', 'virtio_blk', 'virtio_net', 'virtio-rng', 'overlay'].map((module) => ({
      name: `initrd has ${module}`,
      script: `${listInitrd} | grep -E '^modules/[0-9]+-${module}[.]ko$'`,
    })),
  ];
}

const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** A shell script that runs all checks and prints `check ok NAME` or `check failed NAME: last output`; always ends with 0. */
export function checkScript(checks: readonly Check[]): string {
  return [
    '#!/bin/sh',
    '# Printed by the image builder from src/checks.ts.',
    'export HOME=$(mktemp -d)',
    'check() {',
    '\tif output=$(sh -c "$2" 2>&1 </dev/null); then echo "check ok $1"; else',
    '\t\techo "check failed $1: $(echo "$output" | tail -n 3 | tr "\\n" " ")"',
    '\tfi',
    '}',
    ...checks.map(({ name, script }) => `check ${quote(name)} ${quote(script)}`),
    'rm -rf "$HOME"',
    '',
  ].join('\n');
}

/**
 * The names of the checks, given what the script printed.
 * @throws AppError image_check_failed naming every check that failed or was not run.
 */
export function readCheckResults(checks: readonly Check[], output: string): string[] {
  const lines = output.split('\n');
  const problems = checks.flatMap(({ name }) => {
    if (lines.includes(`check ok ${name}`)) return [];
    return [
      lines.find((line) => line.startsWith(`check failed ${name}:`))?.slice('check failed '.length) ??
        `${name}: not run`,
    ];
  });
  if (problems.length === 0) return checks.map(({ name }) => name);
  throw new AppError(
    'image_check_failed',
    `${problems.length} of ${checks.length} checks of the new image failed:\n${problems.map((line) => `  ${line}`).join('\n')}`,
    { hint: 'The current image is unchanged. Each check is a line of packages/image-builder/src/checks.ts.' },
  );
}
