import { AppError } from '@airlock/contract/errors';
import { clipboardCharacters } from '@airlock/contract/desktop';
import { beforeEach, describe, expect, it } from 'vitest';
import { createInputQueue, type InputQueue } from './input-queue.js';

const shift = 0xffe1;
const enter = 0xff0d;
/** What the desktop has got, in order: characters for keys, `<text>` for what was pasted. */
let got: string[];
/** Answers of pastes that are under way. */
let answers: ((fetched: boolean | AppError) => void)[];
/** Whether the desktop has done the keys that were sent. */
let reached: Promise<boolean>;
let queue: InputQueue;

const name = (keysym: number): string =>
  keysym === shift ? 'Shift' : keysym === enter ? 'Enter' : String.fromCharCode(keysym);
beforeEach(() => {
  got = [];
  answers = [];
  reached = Promise.resolve(true);
  queue = createInputQueue({
    key: ({ keysym, down }) => void got.push(`${name(keysym)}${down ? '↓' : '↑'}`),
    reached: () => reached,
    paste: (text, way, signal) => {
      got.push(`${way === 'paste' ? '' : `${way} `}<${text}>`);
      return new Promise((resolve, reject) => {
        answers.push((answer) => (answer instanceof AppError ? reject(answer) : resolve(answer)));
        signal.addEventListener('abort', () => reject(signal.reason as Error));
      });
    },
  });
});
const press = (text: string): void => Array.from(text).forEach((character) => queue.press(character.charCodeAt(0)));
const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));
const answer = async (fetched: boolean | AppError = true): Promise<void> => {
  await settled();
  answers.shift()?.(fetched);
  await settled();
};

describe('the queue of what a person types', () => {
  it('sends keys at once, and those after a paste after it', async () => {
    press('a');
    const pasted = queue.paste('text', 'paste');
    press('b');
    queue.press(enter);
    await settled();
    expect(got).toEqual(['a↓', 'a↑', '<text>']);
    await answer();
    expect(await pasted).toEqual({ problem: null });
    expect(got.slice(3)).toEqual(['b↓', 'b↑', 'Enter↓', 'Enter↑']);
    expect(queue.hasCharacters()).toBe(false);
  });

  it('pastes once the desktop has done the keys before, and not when it is gone', async () => {
    let reach = (_isReached: boolean): void => undefined;
    reached = new Promise((resolve) => (reach = resolve));
    press('a');
    const pasted = queue.paste('text', 'paste');
    await settled();
    expect(got).toEqual(['a↓', 'a↑']);
    reach(true);
    await answer();
    expect([await pasted, got.at(-1)]).toEqual([{ problem: null }, '<text>']);
    reached = Promise.resolve(false);
    expect((await queue.paste('lost', 'paste')).problem?.message).toContain('dropped');
    expect(got).toHaveLength(3);
  });

  it('pastes characters that wait together, and what is between them in its place', async () => {
    for (const character of 'привет') void queue.type(character);
    queue.press(enter);
    const last = queue.type('я');
    await settled();
    expect(got).toEqual(['masked <п>']);
    await answer();
    await answer();
    await answer();
    await last;
    expect(got).toEqual(['masked <п>', 'masked <ривет>', 'Enter↓', 'Enter↑', 'masked <я>']);
  });

  it('does not join a paste with another, nor with what is typed', async () => {
    const all = [
      queue.paste('one', 'paste'),
      queue.paste('two', 'keys'),
      queue.type('я'),
      queue.paste('three', 'paste'),
    ];
    for (let n = 0; n < all.length; n++) await answer();
    await Promise.all(all);
    expect(got).toEqual(['<one>', 'keys <two>', 'masked <я>', '<three>']);
  });

  it('releases what is held for a paste, and holds it again after it', async () => {
    queue.key({ keysym: shift, code: 'ShiftLeft', down: true });
    void queue.type('Я');
    queue.key({ keysym: shift, code: 'ShiftLeft', down: false });
    await settled();
    expect(got).toEqual(['Shift↓', 'Shift↑', 'masked <Я>']);
    await answer();
    expect(got.slice(3)).toEqual(['Shift↓', 'Shift↑']);
    queue.releaseAll();
    expect(got).toHaveLength(5);
  });

  it('releases everything when the keyboard goes elsewhere', () => {
    queue.key({ keysym: shift, code: 'ShiftLeft', down: true });
    queue.key({ keysym: 0x61, code: 'KeyA', down: true });
    queue.releaseAll();
    expect(got.slice(2)).toEqual(['Shift↑', 'a↑']);
  });

  it('says when nothing took the text, when it did not get there, and when it is too long', async () => {
    const untaken = queue.paste('text', 'paste');
    await answer(false);
    expect((await untaken).problem?.message).toBe('Nothing on the desktop took the text.');
    const failed = queue.paste('text', 'paste');
    press('a');
    await answer(new AppError('image_too_old', 'protocol 3'));
    expect((await failed).problem?.code).toBe('image_too_old');
    expect(got.at(-1)).toBe('a↑');
    const { problem } = await queue.paste('x'.repeat(clipboardCharacters + 1), 'paste');
    expect(problem?.message).toContain('65,537 characters');
    expect(got.filter((one) => one.startsWith('<'))).toHaveLength(2);
  });

  it('tells when the desktop has done what was typed, and when it is gone', async () => {
    press('a');
    expect(await queue.reached()).toEqual({ problem: null });
    reached = Promise.resolve(false);
    press('b');
    expect((await queue.reached()).problem?.message).toContain('dropped');
    expect(got).toEqual(['a↓', 'a↑', 'b↓', 'b↑']);
  });

  it('drops what waits with the connection, and says so', async () => {
    const first = queue.paste('first', 'paste');
    const second = queue.paste('second', 'paste');
    press('a');
    queue.key({ keysym: shift, code: 'ShiftLeft', down: true });
    await settled();
    queue.reset();
    for (const pasted of [first, second]) expect((await pasted).problem?.message).toContain('dropped');
    // Nothing of before holds up what is typed on the next connection.
    press('b');
    expect(got).toEqual(['<first>', 'b↓', 'b↑']);
  });
});
