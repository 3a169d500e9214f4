import { PassThrough } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { confirm, type Terminal } from './confirm.js';

const asking = { about: 'All of it goes.', question: 'Destroy it?', hint: '--yes does not ask.' };

/** A terminal at which this is typed; null: Ctrl-D. */
function typing(answer: string | null): Terminal & { shown(): string } {
  const input = Object.assign(new PassThrough(), { isTTY: true });
  const output = new PassThrough();
  let shown = '';
  output.setEncoding('utf8').on('data', (text: string) => {
    shown += text;
    if (!text.includes(asking.question)) return;
    if (answer === null) input.end();
    else input.write(`${answer}\n`);
  });
  return { input, output, shown: () => shown };
}

describe('a question before something is lost', () => {
  test.each(['y', 'Y', 'yes', ' yes '])('%j agrees', async (answer) => {
    const terminal = typing(answer);
    await confirm(asking, terminal);
    expect(terminal.shown()).toContain('All of it goes.\nDestroy it? [y/N] ');
  });

  test.each(['', 'n', 'no', 'yesterday', null])('%j does not', async (answer) => {
    await expect(confirm(asking, typing(answer))).rejects.toMatchObject({ code: 'aborted' });
  });

  test('is refused where nobody can be asked', async () => {
    const { output } = typing('y');
    await expect(confirm(asking, { input: new PassThrough(), output })).rejects.toMatchObject({
      code: 'invalid_request',
      message: expect.stringContaining('All of it goes.') as string,
      hint: '--yes does not ask.',
    });
  });
});
