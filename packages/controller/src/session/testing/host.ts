/** For tests of sessions: VMs that exist as rows in memory, whose agents do what a test tells them. The database is real. */
import { AppError } from '@airlock/contract/errors';
import type { CredentialBundle, LoginStatus } from '@airlock/contract/guest';
import type { JsonClient } from '@airlock/contract/http-client';
import type { CliGuard, Vms, VmRow } from '../../vm/vm.js';
import { exampleVm, standInVms } from '../../vm/testing.js';
import { isFinal } from '../../vm/transitions.js';

/** One call to an agent, as a test reads it: `PUT /credentials/codex`. */
export type GuestCall = `${string} ${string}`;

export interface TestVm {
  row: VmRow;
  login: LoginStatus;
  /** What lies in its home directory. */
  credential: CredentialBundle | undefined;
  /** The number of the delivery that it came with. */
  generation: number | null;
  /** What the CLI says of it. */
  accepts(credential: CredentialBundle | undefined): boolean;
  calls: { call: GuestCall; body: unknown }[];
  /** Called before each call is answered; may throw. */
  onCall(call: GuestCall): void | Promise<void>;
}

export interface TestHost {
  vms: Vms;
  all: Map<string, TestVm>;
  /** The newest of its kind. @throws Error when there is none */
  vm(kind: 'browser' | 'cli'): TestVm;
  /** Holds back that a browser VM becomes ready. */
  holdBoot: boolean;
  /** Agents do not know what protocol 4 brought. */
  isOld: boolean;
  /** What the next try to make the CLI VM ready fails with. */
  failCli: AppError | undefined;
}

export const idleLogin: LoginStatus = {
  provider: null,
  state: 'idle',
  pageHost: null,
  method: 'browser',
  deviceCode: null,
  takesCode: false,
  exitCode: null,
  lastOutput: '',
};

export function createTestHost(guard: CliGuard): TestHost {
  const vms = new Map<string, TestVm>();

  function add(kind: 'browser' | 'cli', userId: string, sessionId: string | null): TestVm {
    const vm: TestVm = {
      row: { ...exampleVm(userId), kind, sessionId },
      login: { ...idleLogin },
      credential: undefined,
      generation: null,
      accepts: (credential) => credential !== undefined,
      calls: [],
      onCall: () => undefined,
    };
    vms.set(vm.row.id, vm);
    return vm;
  }

  const host: TestHost = { vms: makeVms(), all: vms, vm, holdBoot: false, isOld: false, failCli: undefined };
  return host;

  function vm(kind: 'browser' | 'cli'): TestVm {
    const found = [...vms.values()].findLast((one) => one.row.kind === kind);
    if (!found) throw new Error(`there is no ${kind} VM`);
    return found;
  }

  function running(id: string): TestVm {
    const found = vms.get(id);
    if (found?.row.state === 'running') return found;
    throw new AppError('vm_not_running', `VM ${id} does not run.`);
  }

  function makeVms(): Vms {
    const keep = {
      all: () => [...vms.values()].map((one) => one.row),
      put(row: VmRow) {
        const found = vms.get(row.id);
        if (found) found.row = row;
      },
    };
    return standInVms(keep, {
      createBrowser: async ({ userId, sessionId }) => add('browser', userId, sessionId).row,
      ensureCli: async (userId, sessionId) => {
        const { failCli } = host;
        host.failCli = undefined;
        if (failCli) throw failCli;
        const live = await host.vms.cliOf(userId);
        const cli = (live && vms.get(live.id)) ?? add('cli', userId, sessionId);
        cli.row = { ...cli.row, state: 'running' };
        await guard.ready(cli.row, { vms: host.vms, signal: new AbortController().signal });
        return cli.row;
      },
      waitReady: async (id, _onStatus, signal) => {
        while (host.holdBoot) {
          signal.throwIfAborted();
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
        const found = vms.get(id);
        if (!found || isFinal(found.row.state)) throw new AppError('vm_lost', 'The VM ended.');
        return found.row;
      },
      guest: async (id) => guestOf(running(id)),
      desktopGuest: async (id) => {
        if (host.isOld) throw new AppError('image_too_old', 'This desktop can be seen and typed into, and no more.');
        return guestOf(running(id));
      },
    });
  }
}

function guestOf(vm: TestVm): JsonClient {
  return {
    async call(method, path, schema, options = {}) {
      options.signal?.throwIfAborted();
      const { pathname, searchParams } = new URL(path, 'http://guest');
      const call: GuestCall = `${method} ${pathname}`;
      vm.calls.push({ call, body: options.body });
      await vm.onCall(call);
      const answer = answerCall(vm, call, options.body, searchParams.get('generation'));
      return (schema === null ? undefined : schema.parse(answer)) as never;
    },
    lines: () => Promise.reject(new Error('not part of this test')),
    close: async () => undefined,
  };
}

function answerCall(vm: TestVm, call: GuestCall, body: unknown, generation: string | null): unknown {
  switch (call) {
    case 'GET /login':
      return vm.login;
    case 'POST /login':
      if (vm.login.state === 'starting' || vm.login.state === 'browser_opened')
        throw new AppError('login_running', 'A login is running.');
      vm.login = { ...idleLogin, ...(body as object), state: 'starting' };
      return vm.login;
    case 'DELETE /login':
      vm.login = { ...idleLogin };
      return vm.login;
    case 'POST /login/input':
      return vm.login;
    case 'GET /credentials': {
      const fingerprint = vm.credential?.files[0]?.contentBase64 ?? null;
      return {
        credentials: [{ provider: 'codex', complete: fingerprint !== null, fingerprint, generation: vm.generation }],
      };
    }
    case 'GET /credentials/codex':
      if (!vm.credential) throw new AppError('not_found', 'There is no complete credential.');
      return vm.credential;
    case 'PUT /credentials/codex':
      vm.credential = body as CredentialBundle;
      vm.generation = Number(generation);
      return undefined;
    case 'DELETE /credentials/gemini_cli':
    case 'DELETE /credentials/codex':
      vm.credential = undefined;
      return undefined;
    case 'POST /checks/proof_codex': {
      const ok = vm.accepts(vm.credential);
      const output = ok ? 'Logged in using ChatGPT' : 'Not logged in';
      return { name: 'proof_codex', ok, exitCode: ok ? 0 : 1, output, durationMs: 1 };
    }
    default:
      throw new Error(`the stand-in does not know ${call}`);
  }
}
