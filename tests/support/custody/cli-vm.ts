/** A CLI VM as far as credentials go, without a VM: a real agent on a folder of its own, behind a stand-in for the runner. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { homePaths } from '@airlock/contract/home';
import { driveSize, encodeSlot } from '@airlock/contract/config-drive';
import type { GuestConfig } from '@airlock/contract/guest';
import { until } from '../poll.js';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
export const agentBundle = here('../../../packages/guest-agent/dist/agent.cjs');
const token = 'agent-token-for-tests-0123456789abcdef';

export interface CliVm {
  /** Home directory of the person in the VM: its disk. */
  home: string;
  /** Powers it on; the same disk each time. */
  start(): Promise<void>;
  /** Cuts its power: nothing in it gets to do anything any more. */
  kill(): Promise<void>;
  /** SIGKILL for the agent, which then starts again. */
  killAgent(): Promise<void>;
}

/** `bundle`: the program; the one of this checkout by default. `fromFuture`: it answers more than anybody knows yet. */
export interface AgentChoice {
  bundle?: string;
  fromFuture?: boolean;
}

/** The VM `vmId` of the controller with AIRLOCK_HOME `airlockHome`; `disk` is where its own files are. */
export async function createCliVm(
  airlockHome: string,
  vmId: string,
  disk: string,
  { bundle: agent = agentBundle, fromFuture = false }: AgentChoice = {},
): Promise<CliVm> {
  const folder = homePaths(airlockHome).vm(vmId);
  const home = join(disk, 'home');
  const env = await agentEnvironment(disk);
  const image = Buffer.alloc(driveSize);
  const { offset, bytes } = encodeSlot({ generation: 1, config: guestConfig(vmId) });
  bytes.copy(image, offset);
  await writeFile(env.AIRLOCK_CONFIG_DEVICE, image);
  await mkdir(folder, { recursive: true });
  let runner: ChildProcess | undefined;
  const agentPid = async (): Promise<number> =>
    Number(await readFile(join(folder, 'agent.pid'), 'utf8').catch(() => 0));

  async function start(): Promise<void> {
    await rm(join(folder, 'agent.pid'), { force: true });
    const child = spawn(process.execPath, [here('./runner-stand-in.mjs')], { stdio: ['pipe', 'inherit', 'inherit'] });
    runner = child;
    child.stdin.end(JSON.stringify({ folder, agent, env, token, vmId, epoch: 1, fromFuture }));
    await until('the agent to listen', async () => (await agentPid()) > 0, { timeoutMs: 30_000, intervalMs: 20 });
  }

  /** A process that is gone already is fine: what is killed may end by itself meanwhile. */
  function killNow(pid: number | undefined): void {
    try {
      if (pid !== undefined && pid > 0) process.kill(pid, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }

  return {
    home,
    start,
    async kill() {
      const child = runner;
      runner = undefined;
      if (child === undefined) return;
      // The runner first: it would start the agent again.
      killNow(child.pid);
      await once(child, 'exit');
      killNow(await agentPid());
    },
    killAgent: async () => killNow(await agentPid()),
  };
}

/** What the config drive of such a VM carries. */
export const guestConfig = (vmId: string): GuestConfig => ({
  ...{ version: 1, vmId, kind: 'cli', sessionId: null, hostname: 'airlock', timezone: 'Etc/UTC' },
  ...{ epochMs: Date.now(), entropy: Buffer.alloc(64, 7).toString('base64'), agentToken: token },
  ...{ vncPassword: null, homeKey: null, extraCaPem: null },
});

/** The environment of an agent that keeps to the folder `disk`, which has all that it needs but the config drive. */
export async function agentEnvironment(
  disk: string,
): Promise<Record<string, string> & { AIRLOCK_CONFIG_DEVICE: string }> {
  const inside = (name: string): string => join(disk, name);
  await Promise.all(['run', 'home', 'skel', 'bin'].map((name) => mkdir(inside(name), { recursive: true })));
  await writeFile(inside('base.crt'), 'BASE\n');
  await writeFile(inside('skel/.profile'), '# profile\n');
  // No way out, as the gateway of a VM would be: nothing here reaches anybody.
  await writeFile(inside('bin/curl'), '#!/bin/sh\nexit 7\n', { mode: 0o755 });
  return {
    AIRLOCK_AGENT_HOST: '127.0.0.1',
    AIRLOCK_AGENT_PORT: '0',
    AIRLOCK_CONFIG_DEVICE: inside('drive'),
    AIRLOCK_CONFIG_WAIT_MS: '0',
    AIRLOCK_RUN_DIR: inside('run'),
    AIRLOCK_HOME_DIR: inside('home'),
    AIRLOCK_SKELETON: inside('skel'),
    AIRLOCK_BASE_CA_BUNDLE: inside('base.crt'),
    AIRLOCK_SEARCH_PATH: `${inside('bin')}:/usr/bin:/bin`,
    AIRLOCK_DISPLAY_SOCKET: inside('X0'),
    AIRLOCK_VNC_PORT: '1',
    AIRLOCK_SYSTEM_EFFECTS: 'off',
  };
}
