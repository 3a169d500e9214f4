/** What a controller of a landed version asks an agent, and what that version's agent answers: `guest.json` of the upgrade fixtures. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { driveSize } from '@airlock/contract/config-drive';
import { agentEnvironment } from './custody/cli-vm.js';
import { until } from './poll.js';

export interface GuestCall {
  /** A slot of the config drive, written before the call: where, and its bytes (gzip, base64). */
  slot?: { offset: number; gzip: string };
  method: string;
  path: string;
  body?: unknown;
  /** The call is made again until the answer has this state. */
  untilState?: string;
}
export interface Exchange extends GuestCall {
  status: number;
  /** JSON, the lines of a stream of JSON, or null. */
  answer: unknown;
}
export interface GuestRecord {
  /** Shell programs that play the CLIs, by name. */
  programs: Record<string, string>;
  /** What was said to the agents of VMs. Their config drive has nothing but the slots of the calls. */
  agents: { token: string; calls: Exchange[] }[];
}

const waitMs = 30_000;

export const packSlot = ({ offset, bytes }: { offset: number; bytes: Buffer }): NonNullable<GuestCall['slot']> => {
  return { offset, gzip: gzipSync(bytes, { level: 9 }).toString('base64') };
};
export const slotBytes = ({ gzip }: NonNullable<GuestCall['slot']>): Buffer => gunzipSync(Buffer.from(gzip, 'base64'));

/** Starts the agent in the file `program`, and makes these calls to it. */
export async function callAgent(
  program: string,
  programs: GuestRecord['programs'],
  { token, calls }: { token: string; calls: readonly GuestCall[] },
): Promise<Exchange[]> {
  const disk = await mkdtemp(join(tmpdir(), 'airlock-agent-'));
  const env = await agentEnvironment(disk);
  for (const [name, text] of Object.entries(programs)) await writeFile(join(disk, 'bin', name), text, { mode: 0o755 });
  await writeFile(env.AIRLOCK_CONFIG_DEVICE, Buffer.alloc(driveSize));
  await writeSlot(env.AIRLOCK_CONFIG_DEVICE, calls[0]);
  const child = spawn(process.execPath, [program], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  try {
    const url = await listening(child);
    const made: Exchange[] = [];
    for (const call of calls) {
      await writeSlot(env.AIRLOCK_CONFIG_DEVICE, call);
      made.push({ ...call, ...(await answerOf(url, token, call)) });
    }
    return made;
  } finally {
    child.kill('SIGTERM');
    if (child.exitCode === null) await once(child, 'exit');
    await rm(disk, { recursive: true });
  }
}

async function writeSlot(drive: string, call: GuestCall | undefined): Promise<void> {
  if (call?.slot === undefined) return;
  const file = await open(drive, 'r+');
  await file.write(slotBytes(call.slot), 0, undefined, call.slot.offset);
  await file.close();
}

/** Its address, once it has applied its configuration. */
async function listening(child: ChildProcess): Promise<string> {
  let log = '';
  child.stderr?.on('data', (chunk) => (log += String(chunk)));
  const port = await until(
    'the agent to listen, configured',
    () => /configured \{/.test(log) && /listening \{"port":(\d+)/.exec(log)?.[1],
    { timeoutMs: waitMs, intervalMs: 20, explain: () => log },
  );
  return `http://127.0.0.1:${port}`;
}

const answerOf = (url: string, token: string, call: GuestCall): Promise<Pick<Exchange, 'status' | 'answer'>> =>
  until(
    `${call.method} ${call.path} to answer ${call.untilState}`,
    async () => {
      const answered = await ask(url, token, call);
      const isIt = call.untilState === undefined || call.untilState === (answered.answer as { state?: string }).state;
      return isIt && answered;
    },
    { timeoutMs: waitMs },
  );

async function ask(url: string, token: string, { method, path, body }: GuestCall) {
  const headers = {
    authorization: `Bearer ${token}`,
    ...(body !== undefined && { 'content-type': 'application/json' }),
  };
  const response = await fetch(`${url}${path}`, {
    ...{ method, headers },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const lines = (await response.text()).split('\n').filter((line) => line !== '');
  const values = lines.map((line): unknown => JSON.parse(line));
  const isStream = response.headers.get('content-type') === 'application/x-ndjson';
  return { status: response.status, answer: isStream ? values : (values[0] ?? null) };
}

/**
 * What of an answer the other side relies on: the names of members, and words that stand for something (`starting`, `not_found`). Of
 * everything else its type; of a list, each form once.
 */
export function formOf(value: unknown): unknown {
  if (Array.isArray(value)) {
    const forms = value.map((one) => JSON.stringify(formOf(one)));
    return [...new Set(forms)].toSorted().map((form): unknown => JSON.parse(form));
  }
  if (typeof value === 'string') return /^[a-z_]{1,32}$/.test(value) ? value : '(text)';
  if (typeof value === 'number') return '(number)';
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, formOf(inner)]));
}
