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

  it('is in force once the agent reports its generation, one after the other', async () => {
    const { apply } = configure();
    const all = await Promise.all([2, 3, 4].map((epochMs) => apply({ ...first, epochMs }, never)));
    expect(all.map(({ generation }) => generation)).toEqual([2, 3, 4]);
    expect(await content()).toEqual({ generation: 4, config: { ...first, epochMs: 4 } });
  });

  it.each([
    ['hostname', { hostname: 'other' }],
    ['agentToken', { agentToken: 'u'.repeat(40) }],
    ['homeKey, vncPassword', { homeKey: null, vncPassword: '12345678' }],
  ])('that changes %s is refused, and not written', async (names, change) => {
    const error: unknown = await configure()
      .apply({ ...first, ...change }, never)
      .catch((e: unknown) => e);
    expect(error).toMatchObject({ code: 'invalid_request' });
    for (const name of names.split(', ')) expect((error as AppError).message).toContain(name);
    expect((await content()).generation).toBe(1);
  });

  it.each([
    ['guest_refused', { generation: 1 }],
    ['config_invalid', { error: { code: 'config_invalid', message: 'no', hint: '' } }],
    ['guest_unreachable', new AppError('guest_unreachable', 'gone')],
  ] as const)('that does not come into force is %s, and the next one is taken', async (code, answer) => {
    const { apply } = configure((generation) => (generation === 2 ? answer : {}));
    await expect(apply({ ...first, epochMs: 2 }, never)).rejects.toMatchObject({ code });
    expect(await apply({ ...first, epochMs: 3 }, never)).toMatchObject({ generation: 3 });
  });

  it('is not begun for a VM that is being stopped', async () => {
    await expect(configure().apply(first, AbortSignal.abort())).rejects.toThrow('aborted');
    expect((await content()).generation).toBe(1);
  });
});
