/** A guest's words reach a terminal as text, whatever they are. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, expect, it, vi } from 'vitest';
import { AppError } from '@airlock/contract/errors';
import { describeError, note, print, printJson, printPiece, table } from './output.js';

const attacks = [
  ['a link that shows another address', '\u001b]8;;https://evil.example\u0007https://auth.openai.com\u001b]8;;\u0007'],
  ['a window title', '\u001b]0;rm -rf /\u0007'],
  ['the clipboard', '\u001b]52;c;cm0gLXJmIC8=\u001b\\'],
  ['a cleared screen', '\u001b[2J\u001b[1;1Hroot@host:~# '],
  ['C1 controls', '\u009b2J\u009d0;x\u009c\u0090q\u009c'],
  ['a line over another', 'ok\rBAD\b\b\b\u007f'],
  ['a text that runs backwards', 'https://\u202emoc.live\u2066x\u2069'],
  ['a bell and NUL', '\u0007\u0000'],
] as const;
const obeyed = /[^\P{Cc}\n\t]|[\u202a-\u202e\u2066-\u2069]/u;

const written: string[] = [];
for (const stream of [process.stdout, process.stderr]) {
  vi.spyOn(stream, 'write').mockImplementation((text) => written.push(String(text)) > 0);
}
afterEach(() => void written.splice(0));

async function everyWay(text: string): Promise<void> {
  print(text);
  note(text);
  print(table(['VM', text], [[text, text]]));
  note(describeError(new AppError('login_failed', text, { hint: text, details: { lastOutput: text } })));
  await printPiece(text, new AbortController().signal);
  printJson({ text });
}

it.each(attacks)('guest text is inert on a terminal and elsewhere: %s', async (_what, text) => {
  await everyWay(text);
  expect(written.join('')).not.toMatch(obeyed);
});

it('is inert whatever it is, and JSON keeps its value', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'binary' }), async (text) => {
      written.splice(0);
      await everyWay(text);
      expect(written.join('')).not.toMatch(obeyed);
      expect(JSON.parse(written.at(-1) ?? '')).toEqual({ text });
    }),
  );
});

it('cannot fake a row of a table', () => {
  expect(table(['A', 'B'], [['x\nvm_fake', 'y']])).toBe('A          B\nx vm_fake  y');
});

it('leaves ordinary text as it is', () => {
  print('Zoë ÿ 你好 👩‍💻 ‏עברית‎\n\tnext');
  expect(written).toEqual(['Zoë ÿ 你好 👩‍💻 ‏עברית‎\n\tnext\n']);
});

it('is the only place that writes what others say', () => {
  const root = fileURLToPath(new URL('..', import.meta.url));
  // These write their own words: a count of MiB, a question.
  const own = ['lib/output.ts', 'lib/secret-input.ts', 'vm/progress.ts'];
  const writers = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts') && !own.includes(file))
    .filter((file) => /\b(?:stdout|stderr)\.write\b|\bconsole\./.test(readFileSync(join(root, file), 'utf8')));
  expect(writers).toEqual([]);
});
