import { expect, test } from 'vitest';
import type { ImageManifest } from '@airlock/contract/image';
import { askForCheck } from './check.js';

/** What the agent of an image with this protocol is asked, and what comes of it. */
async function asked(protocol: number, name: Parameters<typeof askForCheck>[2]) {
  const calls: string[] = [];
  const client = () => ({
    call: async (method: string, path: string) => {
      calls.push(`${method} ${path}`);
      return { name: path.split('/').at(-1), ok: true, exitCode: 0, output: '2.1.197', durationMs: 1 };
    },
  });
  const images = { manifest: async () => ({ guestProtocol: protocol }) as ImageManifest };
  const { name: answered } = await askForCheck(
    { engine: { client } as never, images },
    { id: 'v', imageId: 'i' },
    name,
  );
  return { calls, answered };
}

test('an agent of before is asked by the name that it knows, and the answer has the name that was asked for', async () => {
  expect(await asked(1, 'version_claude_code')).toEqual({
    calls: ['POST /guest/checks/claude'],
    answered: 'version_claude_code',
  });
});

test('a name of before asks an agent of today for the same check', async () => {
  expect(await asked(2, 'claude')).toEqual({ calls: ['POST /guest/checks/version_claude_code'], answered: 'claude' });
});
