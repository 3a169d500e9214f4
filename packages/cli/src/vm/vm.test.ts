/** `airlock vm …`, run as people run it, against a controller that the test plays. */
import { beforeEach, describe, expect, test } from 'vitest';
import { VmList, type Vm, type VmUpdateState } from '@airlock/contract/api';
import { sampleVm } from '@airlock/contract/fixtures/vm';
import { createProgram } from '../program.js';
import { useController, useHome } from '../testing.js';

const home = useHome();
const { airlock } = home;

const at = '2026-01-01T00:00:00.000Z';
const [vmId, second, third] = ['vm_0123456789abcdef', 'vm_00000000000000bb', 'vm_00000000000000cc'] as const;
const adaId = 'usr_0123456789abcdef';
const bobId = 'usr_fedcba9876543210';
const imageId = 'img_202601011200abcdef01';
const newer = 'img_202602011200abcdef02';
const behind = { imageId: newer, changes: [{ name: 'Codex', from: '0.171.0', to: '0.172.0' }] };
const refused = { code: 'proof_failed', message: 'Codex says: not logged in.', hint: 'Sign in again.' } as const;

const vmOf = (state: Vm['state'], values: Partial<Vm> = {}): Vm => ({
  ...{ ...sampleVm, id: vmId, userId: adaId, state, imageId, createdAt: at },
  ...values,
});

type Kind = NonNullable<Vm['update']>['kind'];

/** One that is behind, and whose update has come so far. */
const updating = (state: VmUpdateState, values: Partial<Vm> = {}, kind: Kind = 'update'): Vm => {
  const error = state === 'failed' ? refused : null;
  return vmOf('running', { behind, update: { kind, state, imageId: newer, since: at, error }, ...values });
};

/** What `GET` of the VM, and of all VMs, answers, one after the other; the last one goes on to be answered. */
let vms: Vm[];
let lists: Vm[][];
/** What is answered to a `POST` for another root: of one, and of all. */
let asked: Vm;
let askedAll: Vm[];
const next = <T>(all: T[]): T | undefined => (all.length > 1 ? all.shift() : all[0]);

const { calls, bodies } = useController(home, (call) => {
  const user = (id: string, name: string) => ({ id, name, role: 'admin', proxyPort: 10001, createdAt: at });
  const listed = (id: string, name: string) => ({ ...user(id, name), state: 'active' });
  switch (call) {
    case `GET /api/vm/${vmId}`:
      return next(vms);
    case 'GET /api/vm':
      return VmList.parse({ vms: next(lists) ?? [] });
    case `POST /api/vm/${vmId}/stop`:
      return vmOf('stopped');
    case `POST /api/vm/${vmId}/start`:
    case `POST /api/vm/${vmId}/restart`:
      return vmOf('starting');
    case `POST /api/vm/${vmId}/update`:
    case `POST /api/vm/${vmId}/reset`:
      return asked;
    case 'POST /api/vm/update':
      return { vms: askedAll };
    case 'GET /api/me':
      return { user: user(adaId, 'ada') };
    case 'GET /api/users':
      return { users: [listed(adaId, 'ada'), listed(bobId, 'bob')] };
    case `DELETE /api/vm/${vmId}`:
      return {};
    default:
      return undefined;
  }
});
beforeEach(() => {
  vms = [];
  lists = [];
  asked = updating('waiting');
  askedAll = [];
});

describe('by hand', () => {
  test('vm stop tells what it does and what became of it, and --json is the VM', async () => {
    const plain = await airlock(['vm', 'stop', vmId]);
    expect(plain).toMatchObject({ exitCode: 0, stdout: `${vmId} stopped\n`, stderr: `${vmId} is being stopped …\n` });
    const { stdout } = await airlock(['vm', 'stop', vmId, '--json']);
    expect(JSON.parse(stdout)).toEqual(vmOf('stopped'));
    expect(calls).toEqual(Array(2).fill(`POST /api/vm/${vmId}/stop Bearer the-token`));
  });

  test.each(['start', 'restart'])('vm %s follows the VM until it is ready', async (verb) => {
    vms = [vmOf('starting'), vmOf('running')];
    const { exitCode, stdout, stderr } = await airlock(['vm', verb, vmId]);
    expect([exitCode, stdout]).toEqual([0, `${vmId} running\n`]);
    expect(stderr).toBe(`${verb === 'restart' ? `${vmId} is being stopped …\n` : ''}${vmId} is starting …\n`);
    expect(calls[0]).toBe(`POST /api/vm/${vmId}/${verb} Bearer the-token`);
  });

  test.each([
    [
      vmOf('stopped', { error: { code: 'vm_boot_timeout', message: 'Too slow.', hint: 'See.' } }),
      /error: Too slow\..*vm_boot_timeout/s,
    ],
    [vmOf('stopping'), /somebody has stopped it again.*vm_not_running/s],
  ])('vm start of one that does not come up ends with the reason', async (end, message) => {
    vms = [end];
    const { exitCode, stdout, stderr } = await airlock(['vm', 'start', vmId]);
    expect([exitCode, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(message);
  });
});

describe('vm list', () => {
  test('is a table head where there are none', async () => {
    expect((await airlock(['vm', 'list'])).stdout).toMatch(/^VM +KIND/);
  });

  test('tells which are behind, and how far updates are', async () => {
    const browser = vmOf('running', { id: third, kind: 'browser' });
    lists = [[vmOf('stopped', { behind }), updating('copying', { id: second }), browser]];
    const { stdout } = await airlock(['vm', 'list']);
    const cells = stdout
      .trim()
      .split('\n')
      .map((line) => line.split(/ {2,}/)[3]);
    expect(cells).toEqual(['UPDATE', 'behind', 'update copying', '-']);
  });
});

describe('vm update and reset', () => {
  const has = vmOf('running', { imageId: newer });

  test.each([
    ['update', [], `${vmId} gets ${newer}: Codex 0.171.0 → 0.172.0\n`],
    ['reset', ['--now'], `${vmId} gets a fresh root. Its home stays; everything outside of it is lost.\n`],
  ] as const)('%s %j follows the VM until its new root is proved', async (kind, flags, start) => {
    asked = updating('waiting', {}, kind);
    vms = [...(['copying', 'copied', 'proving'] as const).map((state) => updating(state, {}, kind)), has];
    const { exitCode, stdout, stderr } = await airlock(['vm', kind, vmId, ...flags]);
    expect([exitCode, stdout]).toEqual([0, `${vmId} ${kind === 'reset' ? 'reset' : 'updated'}: ${newer}\n`]);
    const awaits = ` and waits until nobody uses it; \`airlock vm update ${vmId} --now\` does not wait`;
    expect(stderr).toBe(
      [
        ...[start, `${vmId} waits for its turn …\n`, `${vmId} gets a new root, made beside the one in use …\n`],
        `${vmId} has its new root ready${kind === 'update' ? awaits : ''} …\n`,
        `${vmId} starts from its new root, and its logins are tried …\n`,
      ].join(''),
    );
    expect(calls[0]).toBe(`POST /api/vm/${vmId}/${kind} Bearer the-token`);
    expect(bodies).toEqual([{ now: kind === 'reset' }]);
  });

  test('tells why the old root came back', async () => {
    vms = [updating('failed')];
    const { exitCode, stdout, stderr } = await airlock(['vm', 'update', vmId]);
    expect([exitCode, stdout]).toEqual([1, '']);
    const told = `${vmId} was not updated: its old root is in use as before\nerror: ${refused.message}\nhint: ${refused.hint}\n`;
    expect(stderr).toContain(told);
  });

  test('has nothing to do for one that is not behind', async () => {
    asked = has;
    const { exitCode, stdout } = await airlock(['vm', 'update', vmId]);
    expect([exitCode, stdout]).toEqual([0, `${vmId} has the current image already: ${newer}\n`]);
  });

  test('--no-wait asks for it alone, and --json is the VM', async () => {
    expect((await airlock(['vm', 'update', vmId, '--no-wait'])).stdout).toBe(`${vmId} update waiting\n`);
    const { stdout } = await airlock(['vm', 'update', vmId, '--no-wait', '--json']);
    expect(JSON.parse(stdout)).toEqual(asked);
    expect(calls).toEqual(Array(2).fill(`POST /api/vm/${vmId}/update Bearer the-token`));
  });

  // Of this process: a program for each of them costs half a second.
  test.each([
    ['update', /^Which VM/],
    [`update ${vmId} --all`, /^Either vm_0123456789abcdef, or --all/],
    ['update --all --now', /prompts of everybody/],
    ['update all', /is not the id of a VM/],
    ['reset ../../etc', /is not the id of a VM/],
  ])('vm %s is refused', async (line, message) => {
    await expect(createProgram().parseAsync(['vm', ...line.split(' ')], { from: 'user' })).rejects.toMatchObject({
      code: 'invalid_request',
      message: expect.stringMatching(message) as string,
      hint: expect.stringContaining('airlock vm ') as string,
    });
  });
});

describe('vm update --all', () => {
  const ids = [vmId, second, third];
  const all = (...states: (VmUpdateState | 'done')[]): Vm[] =>
    states.map((state, n) =>
      state === 'done' ? vmOf('running', { id: ids[n]!, imageId: newer }) : updating(state, { id: ids[n]! }),
    );

  test('follows all to the last one, and tells at the end which were not updated, and why', async () => {
    askedAll = all('waiting', 'waiting', 'waiting');
    lists = [all('proving', 'copying', 'waiting'), all('done', 'failed', 'waiting'), all('done', 'failed', 'done')];
    const { exitCode, stdout, stderr } = await airlock(['vm', 'update', '--all']);
    expect([exitCode, stdout]).toEqual([1, '2 of 3 updated\n']);
    expect(stderr.split('\n')).toEqual([
      'CLI VMs to be updated, one after the other: 3',
      `[0/3] ${vmId} starts from its new root, and its logins are tried …`,
      `[0/3] ${second} gets a new root, made beside the one in use …`,
      `[2/3] ${vmId} has ${newer}`,
      `[2/3] ${second} was not updated: its old root is in use as before`,
      `[3/3] ${third} has ${newer}`,
      '',
      `${second} was not updated: its old root is in use as before`,
      `error: ${refused.message}`,
      `hint: ${refused.hint}`,
      `code: ${refused.code}`,
      '',
    ]);
  });

  test('tells of one that is gone, and --json is all of them', async () => {
    askedAll = all('waiting', 'waiting');
    lists = [all('done')];
    const { exitCode, stdout, stderr } = await airlock(['vm', 'update', '--all', '--json']);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(`${second} is destroyed\n`);
    const told = VmList.parse(JSON.parse(stdout)).vms.map(({ id, update, state }) => [id, update?.state, state]);
    expect(told).toEqual([
      [vmId, undefined, 'running'],
      [second, 'waiting', 'destroyed'],
    ]);
  });

  test('has nothing to do where no VM is behind, and --no-wait asks alone', async () => {
    const none = await airlock(['vm', 'update', '--all']);
    expect(none).toMatchObject({ exitCode: 0, stdout: 'Every CLI VM has the current image.\n', stderr: '' });
    askedAll = all('waiting', 'copying');
    const { stdout } = await airlock(['vm', 'update', '--all', '--no-wait']);
    expect(stdout).toBe(`${vmId} update waiting\n${second} update copying\n`);
    expect(calls).toEqual(Array(2).fill('POST /api/vm/update Bearer the-token'));
  });
});

describe('vm destroy', () => {
  const gone = `DELETE /api/vm/${vmId} Bearer the-token`;

  test('of a CLI VM needs a person who agrees, or --yes', async () => {
    vms = [vmOf('stopped', { userId: bobId })];
    const { exitCode, stdout, stderr } = await airlock(['vm', 'destroy', vmId]);
    expect([exitCode, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/is the CLI VM of bob.*home.*no terminal.*--yes.*invalid_request/s);
    expect(calls).not.toContain(gone);
    expect((await airlock(['vm', 'destroy', vmId, '--yes'])).stdout).toBe(`${vmId} destroyed\n`);
    expect(calls.at(-1)).toBe(gone);
  });

  test.each([vmOf('running', { kind: 'browser' }), vmOf('failed')])(
    'of what holds no home asks nothing',
    async (vm) => {
      vms = [vm];
      expect(await airlock(['vm', 'destroy', vmId])).toMatchObject({ exitCode: 0, stdout: `${vmId} destroyed\n` });
      expect(calls.at(-1)).toBe(gone);
    },
  );
});
