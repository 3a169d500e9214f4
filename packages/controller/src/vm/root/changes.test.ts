/** What an update would bring, by the names that people know. */
import { expect, test } from 'vitest';
import type { ImageManifest } from '@airlock/contract/image';
import { changesBetween } from './by-hand.js';

const image = (versions: object, debian = '13.1', browser = 'chromium'): ImageManifest =>
  ({
    versions: { kernel: '6.12.1', node: '20.1.0', chromium: '140', agent: '1', ...versions },
    debian: { version: debian },
    browser,
  }) as never;

test('CLIs first, then the system; what is the same is left out', () => {
  const from = image({ codex: '0.1.0', claude_code: '2.1.0' });
  const to = image(
    { codex: '0.2.0', claude_code: '2.1.0', gemini_cli: '0.61.0', kernel: '6.12.9', agent: '2' },
    '13.2',
  );
  expect(changesBetween(from, to)).toEqual([
    { name: 'Codex', from: '0.1.0', to: '0.2.0' },
    { name: 'Gemini CLI', from: null, to: '0.61.0' },
    { name: 'Debian', from: '13.1', to: '13.2' },
    { name: 'Linux', from: '6.12.1', to: '6.12.9' },
  ]);
});

test('of an image that is gone, all is new; another browser takes the place of the one before', () => {
  expect(changesBetween(null, image({})).map(({ name, from }) => [name, from])).toEqual(
    ['Debian', 'Linux', 'Node', 'Chromium'].map((name) => [name, null]),
  );
  expect(changesBetween(image({}), image({}, '13.1', 'google-chrome'))).toEqual([
    { name: 'Google Chrome', from: null, to: '140' },
    { name: 'Chromium', from: '140', to: null },
  ]);
});
