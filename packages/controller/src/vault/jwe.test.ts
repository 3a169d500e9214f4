import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { openText, sealText, vaultKey } from './jwe.js';

describe('sealing', () => {
  const key = vaultKey(randomBytes(32));
  const secret = `secret-${randomBytes(8).toString('hex')}`;

  it('opens what it sealed, for the same context only', async () => {
    const sealed = await sealText(key, 'credential/a/codex/1', secret);
    expect(sealed).not.toContain(secret);
    expect(await openText([key], 'credential/a/codex/1', sealed)).toBe(secret);
    await expect(openText([key], 'credential/b/codex/1', sealed)).rejects.toMatchObject({ code: 'vault_key_invalid' });
  });

  it('seals the same text differently each time', async () => {
    expect(await sealText(key, 'x', secret)).not.toBe(await sealText(key, 'x', secret));
  });

  it('names the key that is needed when it has another', async () => {
    const sealed = await sealText(key, 'x', secret);
    await expect(openText([vaultKey(randomBytes(32))], 'x', sealed)).rejects.toThrow(key.id);
  });

  it.each([
    ['tampered', (jwe: string) => `${jwe.slice(0, -4)}AAAA`],
    ['cut short', (jwe: string) => jwe.slice(0, 40)],
    ['not a JWE', () => 'hello'],
  ])('refuses one that is %s', async (_name, spoil) => {
    const sealed = await sealText(key, 'x', secret);
    await expect(openText([key], 'x', spoil(sealed))).rejects.toMatchObject({ code: 'vault_key_invalid' });
  });

  it('refuses a key of another length', () => {
    expect(() => vaultKey(randomBytes(16))).toThrow(/16 bytes/);
  });
});
