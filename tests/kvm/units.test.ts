/**
 * Airlock as an operator installs it (docs/privileged-helper.md): the units of `deploy` under a real systemd, the controller as an
 * ordinary user, the helper by its socket, cgroups of version 2. It changes the host for good, which is thrown away afterwards.
 */
import { chown, mkdir, readdir, readFile, readlink, realpath } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { homePaths } from '@airlock/contract/home';
import { imageFiles, ImageManifest } from '@airlock/contract/image';
import { filesOf, sealFiles } from '@airlock/contract/image-seal';
import { run } from '@airlock/contract/process';
import { imageHome } from '../support/home.js';
import { until } from '../support/poll.js';

const checkout = fileURLToPath(new URL('../..', import.meta.url));
const url = 'http://127.0.0.1:4000';
const minutes = (n: number): number => n * 60_000;
const document = (name: string): Promise<string> => readFile(join(checkout, 'docs', name), 'utf8');

/** In bash, which has `air` of docs/operations.md. */
let air: string;
const say = async (line: string, timeoutMs = minutes(5)): Promise<string> =>
  (await run('bash', ['-ec', `${air}\n${line}`], { cwd: '/opt/airlock', timeoutMs })).stdout.trim();
// As `npx airlock`, which comes with npm, that this host does not have.
const airlock = (words: string): Promise<string> => say(`air node packages/cli/bin/airlock.mjs ${words}`);
const folderOf = async (path: string): Promise<string[]> => readdir(path).catch(() => []);

/** The golden image belongs to the service's user; it was not written to, so nobody needs to hash it again. */
async function giveImage(uid: number, gid: number): Promise<void> {
  const images = homePaths('/var/lib/airlock').images;
  await mkdir(images.folder, { recursive: true });
  await say(
    `mount --bind ${homePaths(imageHome()).images.folder} ${images.folder}; chown -R airlock: /var/lib/airlock`,
  );
  const folder = await realpath(images.current);
  const manifest = ImageManifest.parse(JSON.parse(await readFile(join(folder, imageFiles.manifest), 'utf8')));
  await sealFiles(folder, filesOf(manifest));
  await chown(join(folder, imageFiles.seal), uid, gid);
}

async function untilWell(): Promise<void> {
  const isWell = (): Promise<boolean> =>
    say(`curl -fsS -o /dev/null ${url}/healthz`).then(
      () => true,
      () => false,
    );
  const explain = (): Promise<string> => say('journalctl --no-pager --output=cat --unit=airlock | tail -40');
  await until('the service to be well', isWell, { timeoutMs: minutes(5), intervalMs: 1000, explain });
}

beforeAll(async () => {
  air = /^air\(\) \(\n[^]*?\n\)$/m.exec(await document('operations.md'))?.[0] ?? '';
  await mkdir('/opt/airlock', { recursive: true });
  await say(`mount --bind ${checkout} /opt/airlock; cd /opt/airlock
    useradd --system --create-home --home-dir /home/airlock --groups kvm airlock
    install -m 0644 deploy/airlock.service /etc/systemd/system/`);
  const [uid = 0, gid = 0] = (await say('id -u airlock; id -g airlock')).split('\n').map(Number);
  await giveImage(uid, gid);
  const { scripts } = JSON.parse(await readFile(join(checkout, 'packages/privileged-helper/package.json'), 'utf8')) as {
    scripts: { bundle: string };
  };
  await say(`cd packages/privileged-helper; PATH=/opt/airlock/node_modules/.bin:$PATH ${scripts.bundle}`);
  // The packages are there; the last line, which looks at it, is the first test.
  const lines = (await document('privileged-helper.md')).split('\n');
  const install = lines.filter((line) => /^(install|systemctl) /.test(line));
  for (const line of install) await say(line);
  await untilWell();
  const token = /#token=([\w-]+)/.exec(await airlock('login-url'))?.[1];
  const login = `-H 'content-type: application/json' -H 'origin: ${url}' -d '${JSON.stringify({ token })}'`;
  await say(`curl -fsS -o /dev/null ${login} ${url}/api/login`);
}, minutes(10));

/** What is looked at when something does not come. */
const words = (): Promise<string> =>
  say(`journalctl --no-pager --output=cat --unit=airlock --identifier=airlock-privileged-helper | tail -20
    tail -n 15 /var/lib/airlock/vm/*/runner.log`);
/** Id and state of the browser VM. Asked seldom, since each time is seconds of processor time here. */
const browserVm = async (): Promise<string[]> =>
  /^(\S+) +browser +(\S+)/m.exec(await airlock('vm list'))?.slice(1) ?? [];
function untilRunning(): Promise<string> {
  const running = async (): Promise<string | undefined> => {
    const [id, state] = await browserVm();
    return state === 'running' ? id : undefined;
  };
  return until('a VM to run', running, { timeoutMs: minutes(8), intervalMs: 10_000, explain: words });
}
/** Of its VMM, by the cgroup that the helper has made for it. */
async function vmmOf(vmId: string): Promise<{ program: string; uid: number; cgroup: string }> {
  const [found, ...others] = (await say(`find /sys/fs/cgroup/system.slice -type d -name ${vmId}`)).split('\n');
  expect([typeof found, others]).toEqual(['string', []]);
  const pids = (await readFile(join(found ?? '', 'cgroup.procs'), 'utf8')).trim().split('\n');
  for (const pid of pids) {
    const program = basename(await readlink(`/proc/${pid}/exe`));
    const uid = Number(/^Uid:\t(\d+)/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]);
    if (uid > 0) return { program, uid, cgroup: found ?? '' };
  }
  throw new Error(`No VMM is in ${found}.`);
}
async function expectNothingLeft(): Promise<void> {
  const left = async (): Promise<string[]> => [
    ...(await folderOf('/run/netns')),
    ...(await folderOf('/run/airlock-helper')).filter((name) => name !== 'ids'),
    ...(await say("systemctl list-units --no-legend --plain 'airlock-helper@*'")).split('\n').filter(Boolean),
  ];
  const explain = async (): Promise<string> => (await left()).join(', ');
  const isNone = async (): Promise<boolean> => (await left()).length === 0;
  await until('nothing to be left', isNone, { timeoutMs: minutes(3), intervalMs: 1000, explain });
}

let session: string;

describe.each([
  ['qemu', 'qemu-system-x86_64'],
  ['firecracker', 'firecracker'],
])('under %s', (driver, program) => {
  it.runIf(driver === 'firecracker')(
    'its gate passes, and the next start takes it',
    async () => {
      const gate = /^cd .* npx airlock firecracker gate$/m.exec(await document('operations.md'))?.[0] ?? 'false';
      await say(gate.replace('npx airlock', 'node packages/cli/bin/airlock.mjs'), minutes(14));
      await say('systemctl restart airlock');
      await untilWell();
    },
    minutes(15),
  );

  it(
    'gives VMs networks of their own, as doctor says',
    async () => {
      const said = await airlock('doctor');
      process.stdout.write(`${said}\n`);
      expect(said).toMatch(/^ok +Network of VMs +netns: /m);
      expect(said).toMatch(new RegExp(`^ok +VMM +${driver}: `, 'm'));
      expect(await say('systemctl show airlock --property=User --value')).toBe('airlock');
    },
    minutes(5),
  );

  it(
    'brings a desktop up, whose VMM is locked up below the helper’s unit as a user of its own',
    async () => {
      session = (await airlock('auth start codex')).split(' ')[0] ?? '';
      const vmId = await untilRunning();
      const vmm = await vmmOf(vmId);
      expect(vmm).toMatchObject({ program, cgroup: expect.stringMatching(/airlock-helper@.*\.service\/./) });
      expect(vmm.uid).toBeGreaterThanOrEqual(2_000_000_000);
      expect(await readFile(join(vmm.cgroup, 'pids.max'), 'utf8')).toBe('512\n');
      expect(await folderOf('/run/netns')).toContain(`airlock-${vmId}`);
    },
    minutes(10),
  );

  it(
    'drops no VM when the service is restarted',
    async () => {
      const [before] = await browserVm();
      await say('systemctl restart airlock');
      await untilWell();
      expect(await untilRunning()).toBe(before);
    },
    minutes(10),
  );

  it(
    'gives everything back when the sign-in has ended',
    async () => {
      await airlock(`auth cancel ${session}`);
      const clis = (await airlock('vm list')).matchAll(/^(\S+) +cli /gm);
      for (const [, id] of clis) await airlock(`vm destroy ${id} --yes`);
      await expectNothingLeft();
      expect(await say('systemctl show airlock --property=NRestarts --value')).toBe('0');
    },
    minutes(5),
  );
});
