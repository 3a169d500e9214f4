/** The config drive as a file, and the way by which a new configuration comes into force. */
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decodeDrive, slotSize } from '@airlock/contract/config-drive';
import { AppError } from '@airlock/contract/errors';
import type { GuestConfig, GuestHealth } from '@airlock/contract/guest';
import { createConfigDrive, type ConfigDrive } from './config-drive.js';
import { createConfiguration, type Configuration } from './configuration.js';

const first: GuestConfig = {
  ...{ version: 1, vmId: 'vm_0123456789abcdef', kind: 'cli', sessionId: null, hostname: 'h', timezone: 'Etc/UTC' },
  ...{ epochMs: 1, entropy: Buffer.alloc(64).toString('base64'), agentToken: 't'.repeat(40), vncPassword: null },
  ...{ homeKey: Buffer.alloc(64).toString('base64'), extraCaPem: null },
};
const never = new AbortController().signal;

let folder: string;
let drive: ConfigDrive;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'airlock-drive-'));
  drive = await createConfigDrive(join(folder, 'secret'), first);
});
afterEach(() => rm(folder, { recursive: true }));

const content = async (): Promise<ReturnType<typeof decodeDrive>> => decodeDrive(await readFile(drive.path));

describe('the drive', () => {
  it('is read by its owner only, and is removed', async () => {
    expect(await content()).toEqual({ generation: 1, config: first });
    expect((await stat(drive.path)).mode & 0o777).toBe(0o600);
    expect((await stat(join(folder, 'secret'))).mode & 0o777).toBe(0o700);
    await drive.remove();
    await drive.remove();
    await expect(stat(drive.path)).rejects.toThrow('ENOENT');
  });

  it('keeps the generation before whole while the next one is written', async () => {
    const second = { ...first, epochMs: 2 };
    expect(await drive.write(second)).toBe(2);
    expect(await content()).toEqual({ generation: 2, config: second });
    const image = await readFile(drive.path);
    expect(decodeDrive(Buffer.concat([Buffer.alloc(slotSize), image.subarray(slotSize)])).config).toEqual(first);
    expect(await drive.write(first)).toBe(3);
  });
});

describe('a new configuration', () => {
  it('of a VM that is given to a session has it, and so have all after it', async () => {
    const { assign, apply } = configure();
    const same = { timezone: first.timezone, extraCaPem: first.extraCaPem };
    await assign('ses_0123456789abcdef', same, never);
    expect(await content()).toMatchObject({ generation: 2, config: { ...same, sessionId: 'ses_0123456789abcdef' } });
    expect((await content()).config.entropy).not.toBe(first.entropy);
    expect(await apply(same, never)).toBe(false);
    await apply({ ...same, timezone: 'Asia/Tokyo' }, never);
    expect(await content()).toMatchObject({ generation: 3, config: { sessionId: 'ses_0123456789abcdef' } });
  });

  /** An agent that takes what stands on the drive, and can be made to fail. */
  function configure(change: (generation: number) => Partial<GuestHealth> | AppError = () => ({})): Configuration {
    const reload = async (): Promise<GuestHealth> => {
      const { generation } = await content();
      const answer = change(generation);
      if (answer instanceof AppError) throw answer;
      const base = { agentVersion: '1', generation, vmId: first.vmId, uptimeMs: 1, desktop: null, ready: true };
      return { ...base, error: null, ...answer };
    };
    return createConfiguration({ drive, agent: { reload }, first });
  }
  const tokyo = { timezone: 'Asia/Tokyo', extraCaPem: null };
  const lima = { timezone: 'America/Lima', extraCaPem: 'PEM' };

  it('is what the VM was powered on with, the new settings, the present time and fresh entropy', async () => {
    const since = Date.now();
    expect(await configure().apply(lima, never)).toBe(true);
    const { generation, config } = await content();
    const { epochMs, entropy } = config;
    expect({ generation, config }).toEqual({ generation: 2, config: { ...first, ...lima, epochMs, entropy } });
    expect(epochMs).toBeGreaterThanOrEqual(since);
    expect(entropy).not.toBe(first.entropy);
  });

  it('is in force once the agent reports its generation, one after the other', async () => {
    const { apply } = configure();
    expect(await Promise.all([tokyo, lima, tokyo].map((next) => apply(next, never)))).toEqual([true, true, true]);
    expect(await content()).toMatchObject({ generation: 4, config: tokyo });
  });

  it('that is in force already is not written again', async () => {
    const { apply } = configure();
    expect(await apply({ timezone: first.timezone, extraCaPem: null }, never)).toBe(false);
    expect(await apply(tokyo, never)).toBe(true);
    expect(await apply(tokyo, never)).toBe(false);
    expect((await content()).generation).toBe(2);
  });

  it.each([
    ['guest_refused', { generation: 1 }],
    ['config_invalid', { error: { code: 'config_invalid', message: 'no', hint: '' } }],
    ['guest_unreachable', new AppError('guest_unreachable', 'gone')],
  ] as const)('that does not come into force is %s, and is taken when it comes again', async (code, answer) => {
    const { apply } = configure((generation) => (generation === 2 ? answer : {}));
    await expect(apply(tokyo, never)).rejects.toMatchObject({ code });
    expect(await apply(tokyo, never)).toBe(true);
    expect(await content()).toMatchObject({ generation: 3, config: tokyo });
  });

  it.each([
    ['what was in force before', { timezone: first.timezone, extraCaPem: null }],
    ['another one', lima],
  ])('after one of which nobody knows whether it came into force, %s is written', async (_what, next) => {
    const { apply } = configure((generation) => (generation === 2 ? new AppError('guest_unreachable', 'gone') : {}));
    await expect(apply(tokyo, never)).rejects.toMatchObject({ code: 'guest_unreachable' });
    expect(await apply(next, never)).toBe(true);
    expect(await content()).toMatchObject({ generation: 3, config: next });
  });

  it('that does not fit on the drive is refused, and the one in force stays', async () => {
    const { apply } = configure();
    const next = { ...tokyo, extraCaPem: 'x'.repeat(slotSize) };
    await expect(apply(next, never)).rejects.toMatchObject({ code: 'config_invalid' });
    expect((await content()).config).toEqual(first);
  });

  it('is not begun for a VM that is being stopped', async () => {
    await expect(configure().apply(tokyo, AbortSignal.abort())).rejects.toThrow('aborted');
    expect((await content()).generation).toBe(1);
  });
});
