/** What a root must show, from inside, before it may become an image. Each check is a piece of shell that ends with 0. */
import { AppError } from '@airlock/contract/errors';
import { guestPaths, guestUser } from '@airlock/contract/guest';
import type { PinnedBrowser } from './chrome.js';
import type { Description } from './description.js';

export interface Check {
  name: string;
  script: string;
  /** Goes through the whole root, so that no program of another check may be at work there. */
  walks?: true;
}

/** Where finish.sh and the checks live inside the root while it is being made. */
export const buildDir = '/usr/lib/airlock/build';

const listInitrd = `cpio --quiet --list <${buildDir}/initrd.img`;

/** Units that must be enabled; those that are also watched have to come back by themselves. */
const watched = ['airlock-agent', 'airlock-xvfb', 'airlock-x11vnc', 'airlock-openbox', 'airlock-session'];
/** Units that run as the desktop user. */
const ofDesktopUser = ['airlock-xvfb', 'airlock-x11vnc', 'airlock-openbox', 'airlock-session', 'airlock-browser'];
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

/** Programs whose libraries must all be there, whatever was left out. */
const linked = ['Xvfb', 'x11vnc', 'openbox', 'xterm', 'xsetroot', 'node', 'git', 'curl', 'perl'];

const unitPath = (unit: string): string => `/usr/lib/systemd/system/${unit}.service`;
const unitSays = (unit: string, line: string): string => `grep -x '${line}' ${unitPath(unit)}`;

/**
 * Finds nothing in the whole root. Left out: /dev, which is the host's while the root is made, and the packages, which are its
 * builder's files until they are taken away.
 */
const nowhere = (name: string, test: string): Check => ({
  name,
  script: String.raw`! find / -xdev \( -path /dev -o -path /var/cache/apt/archives \) -prune -o \( ${test} \) -print | grep .`,
  walks: true,
});

const program = (name: string): Check => ({ name: `which ${name}`, script: `command -v ${name}` });

/** Policies that mission and design ask for by name; the rest is in the file. */
const policyCheck = `
  const policy = JSON.parse(require("fs").readFileSync("/etc/chromium/policies/managed/airlock.json"));
  const wanted = {
    PasswordManagerEnabled: false, MetricsReportingEnabled: false, PromotionsEnabled: false, BrowserSignin: 0,
    DnsOverHttpsMode: "off", QuicAllowed: false, WebRtcIPHandling: "disable_non_proxied_udp",
    RemoteDebuggingAllowed: false, DefaultBrowserSettingEnabled: false, NetworkPredictionOptions: 2,
  };
  for (const name in wanted) require("assert").strictEqual(policy[name], wanted[name], name);`;

/** Where chrome.sh puts Google's program; its own name for itself. */
const chrome = { program: '/opt/google/chrome/chrome', title: 'Google Chrome' } as const;

/** What is started as the browser, and, when it is not Debian's, that it has taken Chromium's place everywhere. */
function browserChecks(browser: PinnedBrowser | null): Check[] {
  const version = '/usr/lib/chromium/chromium --version';
  const name = 'the browser is a real one';
  if (browser === null) {
    return [
      { name, script: `${version} | grep -E '^Chromium [0-9]+'` },
      { name: 'the browser lacks no library', script: `! ldd /usr/lib/chromium/chromium | grep 'not found'` },
    ];
  }
  return [
    { name, script: `${version} | grep -F '${chrome.title} ${browser.version}'` },
    { name: 'the browser lacks no library', script: `! ldd ${chrome.program} | grep 'not found'` },
    {
      name: 'Google Chrome reads the policies of the image',
      script: `test "$(readlink -f /etc/opt/chrome/policies/managed)" = /etc/chromium/policies/managed`,
    },
    {
      name: 'Google Chrome does not update itself',
      script: `! find /etc/apt/sources.list.d /etc/cron.* -name '*google*' 2>/dev/null | grep .`,
    },
  ];
}

/** All checks, in the order in which they are run; `browser` takes the place of Debian's Chromium. */
export function checksFor({ clis }: Pick<Description, 'clis'>, browser: PinnedBrowser | null): Check[] {
  return [
    { name: 'node is v20', script: `node --version | grep -E '^v20[.]'` },
    ...clis.map((cli) => program(cli.command)),
    ...['x11vnc', 'Xvfb', 'openbox', 'xterm', 'curl', 'git', 'xdg-open', 'airlock-open-url', 'fscryptctl'].map(program),
    ...clis.map((cli) => ({
      name: `${cli.command} --version is ${cli.version}`,
      script: `${cli.command} --version 2>&1 | grep -F '${cli.version}'`,
    })),
    ...browserChecks(browser),
    {
      name: 'a web address opens in the visible browser',
      script: `test "$(readlink -f /usr/bin/x-www-browser)" = /usr/local/bin/airlock-open-url`,
    },
    ...enabled.map((unit) => ({ name: `${unit} is enabled`, script: `systemctl is-enabled ${unit}` })),
    ...watched.map((unit) => ({
      name: `${unit} restarts on failure`,
      script: unitSays(unit, 'Restart=on-failure'),
    })),
    { name: 'a closed browser comes back', script: unitSays('airlock-browser', 'Restart=always') },
    {
      name: 'a closed terminal comes back',
      script: `grep -x 'Restart=always' '/etc/systemd/user/app-xterm@autostart.service.d/airlock.conf'`,
    },
    ...[...watched, 'airlock-browser'].map((unit) => ({
      name: `${unit} is never given up, and cannot gain rights`,
      script: ['StartLimitIntervalSec=0', 'NoNewPrivileges=yes', 'ProtectSystem=full']
        .map((line) => unitSays(unit, line))
        .join(' && '),
    })),
    ...ofDesktopUser.map((unit) => ({
      name: `${unit} runs as the desktop user, without capabilities`,
      script: `${unitSays(unit, `User=${guestUser.name}`)} && ${unitSays(unit, 'CapabilityBoundingSet=')}`,
    })),
    { name: 'the screen is never blanked', script: `grep -E '^ExecStart=.* -s 0 .*-dpms' ${unitPath('airlock-xvfb')}` },
    {
      name: 'nothing lacks a library',
      script: `! for p in ${linked.join(' ')}; do ldd "$(command -v $p)"; done | grep 'not found'`,
    },
    ...Object.entries({ Latin: 'fr', Greek: 'el', Cyrillic: 'ru', Chinese: 'zh-cn', Japanese: 'ja', Korean: 'ko' }).map(
      ([script, lang]) => ({ name: `there is a font for ${script}`, script: `fc-list ':lang=${lang}' | grep .` }),
    ),
    { name: 'there is a font for emoji', script: `fc-list ':charset=1f600' | grep -i emoji` },
    {
      name: 'the locale is C.UTF-8',
      script: `grep -x LANG=C.UTF-8 /etc/locale.conf && locale -a | grep -i '^C.utf8$'`,
    },
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
      name: 'browser policy keeps the browser quiet and inside its proxy',
      script: `node -e '${policyCheck}'`,
    },
    {
      name: 'home is empty and the user’s',
      script: `test -z "$(ls -A ${guestPaths.home})" && test "$(stat -c %u:%g:%a ${guestPaths.home})" = ${guestUser.uid}:${guestUser.gid}:700`,
    },
    { name: 'machine-id is not set', script: 'test -f /etc/machine-id && test ! -s /etc/machine-id' },
    { name: 'no random seed, no SSH keys', script: '! ls /var/lib/systemd/random-seed /etc/ssh/ssh_host_* /root/.ssh' },
    { name: 'no remote login, no cron', script: '! command -v sshd && ! command -v cron' },
    nowhere('no setuid or setgid program', '-type f -perm /6000'),
    nowhere('only sticky folders are open to all', '-type f -perm -0002 -o -type d -perm -0002 ! -perm -1000'),
    nowhere('everything has an owner', '-nouser -o -nogroup'),
    { name: 'nobody has a password', script: `! grep -v '^[^:]*:[*!]' /etc/shadow` },
    {
      name: 'what root runs only root may change',
      script: String.raw`! find /usr/lib/airlock /usr/lib/systemd/system /etc/systemd \( ! -user root -o -type f -perm /022 \) | grep .`,
    },
    {
      name: 'no private keys and no passwords in addresses',
      script: `! grep -rIlE -e '-----BEGIN [A-Z ]*PRIVATE KEY' -e '://[^/@ ]+:[^/@ ]+@' /etc /root /home /var/lib/dpkg/info`,
    },
    nowhere('no leftover caches of npm or Python', '-name .npm -o -name _cacache -o -name __pycache__ -o -name .cache'),
    { name: 'logs and temporary folders are empty', script: `! find /var/log /var/tmp -mindepth 1 | grep .` },
    {
      name: 'initrd starts by itself',
      script: `${listInitrd} | grep -x init && ${listInitrd} | grep -x bin/busybox && ! ldd /usr/bin/busybox`,
    },
    ...['failover', 'net_failover', 'virtio_mmio', 'virtio_blk', 'virtio_net', 'virtio-rng', 'overlay'].map(
      (module) => ({
        name: `initrd has ${module}`,
        script: `${listInitrd} | grep -E '^modules/[0-9]+-${module}[.]ko$'`,
      }),
    ),
  ];
}

const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** So many checks run at a time: most only wait for a program to start. */
const lanes = 2;

/** Shell that runs these checks in lanes and waits for all. */
function inLanes(checks: readonly Check[]): string[] {
  const lines = checks.map(({ name, script }) => `\tcheck ${quote(name)} ${quote(script)}`);
  const lane = (number: number): string[] => lines.filter((_, index) => index % lanes === number);
  return [...Array.from({ length: lanes }, (_, number) => ['{', '\t:', ...lane(number), '} &']).flat(), 'wait'];
}

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
    ...inLanes(checks.filter(({ walks }) => walks !== true)),
    ...inLanes(checks.filter(({ walks }) => walks === true)),
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
