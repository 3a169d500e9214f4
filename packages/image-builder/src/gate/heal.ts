/** Questions to the gate's helper; killing parts of the desktop, and waiting until a person could use it again. */
import { setTimeout as delay } from 'node:timers/promises';
import { desktopSizes } from '@airlock/contract/desktop';
import { AppError } from '@airlock/contract/errors';
import { answerOf, orderOf, reportOf, type Part, type Question } from './helper.js';
import { changesIn, missingOn, page, terminalText, terminalTop, wrongSize } from './judge.js';
import { openScreen, type Picture, type Screen } from './screen.js';
import type { GateVm } from './vm.js';

const pauseMs = 250;
/** One look, from the connection to the typed letter; a dead server says nothing at all. */
const lookTimeoutMs = 20_000;
const keys = { x: 0x78, backspace: 0xff08 } as const;
/** The least that a letter and the cursor behind it change. */
const letterPixels = 8;

/** Asks until `look` gives something. @throws AppError vm_boot_timeout with the last reason against it */
async function until<T>(what: string, limitMs: number, signal: AbortSignal, look: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    try {
      return await look();
    } catch (error) {
      signal.throwIfAborted();
      if (performance.now() > deadline) {
        throw new AppError(
          'vm_boot_timeout',
          `No ${what} after ${Math.round(limitMs)} ms: ${AppError.inItsWords(error).message}`,
        );
      }
    }
    await delay(pauseMs, undefined, { signal });
  }
}

/**
 * Waits until VNC shows both windows, a letter typed into the terminal appears, and the agent is content.
 * @returns `ms` it took. @throws AppError vm_boot_timeout
 */
export async function untilUsable(vm: GateVm, limitMs: number, signal: AbortSignal): Promise<{ ms: number }> {
  const startedAt = performance.now();
  await until('usable desktop', limitMs, signal, async () => {
    const stream = await vm.openDesktop();
    // Nothing that the server fails to send may hold this look for ever.
    const timer = setTimeout(() => stream.destroy(), lookTimeoutMs);
    try {
      await tryOut(await openScreen(stream));
    } finally {
      clearTimeout(timer);
      stream.destroy();
    }
    const { ready, desktop, error } = await vm.health();
    if (!ready) throw new Error(`the agent reports ${JSON.stringify({ desktop, error })}`);
  });
  return { ms: Math.round(performance.now() - startedAt) };
}

async function tryOut(screen: Screen): Promise<void> {
  await screen.look(terminalTop);
  const missing = [...wrongSize(screen), ...missingOn(await screen.look(page))];
  if (missing.length > 0) throw new Error(`the screen does not show ${missing.join(', ')}`);
  screen.click(terminalText.x + 200, terminalText.y + 600);
  const before = await stillPicture(screen);
  screen.press(keys.x);
  for (let tries = 0; changesIn(before, await screen.look(terminalText), terminalText) < letterPixels; tries += 1) {
    if (tries > 40) throw new Error('a letter typed into the terminal does not appear');
    await delay(pauseMs);
  }
  screen.press(keys.backspace);
  // Another answer of the server: it has taken the key.
  await screen.look(terminalText);
}

/** The terminal has the keyboard, as `untilUsable` leaves it. @throws AppError guest_refused */
export async function tryPasteAndSize(vm: GateVm, signal: AbortSignal): Promise<void> {
  if (!(await vm.paste(' '))) throw new AppError('guest_refused', 'The terminal does not take a paste.');
  const { smallest, usual } = desktopSizes;
  for (const size of [smallest, usual]) {
    await vm.resize(size);
    await until(`screen of ${size.width}x${size.height}`, lookTimeoutMs, signal, async () => {
      const screen = await openScreen(await vm.openDesktop());
      screen.close();
      if (screen.width !== size.width || screen.height !== size.height)
        throw new Error(`it has ${screen.width}x${screen.height}`);
    });
  }
}

/** A picture in which the terminal is as it was a moment before: its cursor has been redrawn for the focus. */
async function stillPicture(screen: Screen): Promise<Picture> {
  let last = await screen.look(terminalText);
  for (;;) {
    await delay(pauseMs);
    const next = await screen.look(terminalText);
    if (changesIn(last, next, terminalText) === 0) return next;
    last = next;
  }
}

/** The lines that the helper answers. @throws AppError vm_boot_timeout */
export async function ask(vm: GateVm, question: Question, limitMs: number, signal: AbortSignal): Promise<string[]> {
  const order = Date.now();
  await vm.writeDrive(orderOf(order, question));
  return until(`answer to "${question}"`, limitMs, signal, async () => {
    const lines = answerOf(await vm.console(), order);
    if (lines === null) throw new Error('the console does not show it as a whole');
    return lines;
  });
}

/** Has a process killed; resolves with when that was, once another one is in its place. */
async function kill(vm: GateVm, part: Part, limitMs: number, signal: AbortSignal): Promise<number> {
  // The helper takes an order whose number is greater than the last one's.
  const order = Date.now();
  await vm.writeDrive(orderOf(order, part));
  const report = async (what: 'killed' | 'back'): Promise<number> => {
    await until(`word that ${part} was ${what}`, limitMs, signal, async () => {
      if (reportOf(await vm.console(), order, what) === null) throw new Error('the console does not show it');
    });
    return performance.now();
  };
  const killedAt = await report('killed');
  await report('back');
  return killedAt;
}

/**
 * Kills one part, or several one after the other as soon as each runs again.
 * @returns milliseconds from the last kill until the desktop was usable. @throws AppError vm_boot_timeout
 */
export async function healed(
  vm: GateVm,
  which: Part | readonly Part[],
  limitMs: number,
  signal: AbortSignal,
): Promise<number> {
  let killedAt = performance.now();
  for (const part of typeof which === 'string' ? [which] : which) killedAt = await kill(vm, part, limitMs, signal);
  await untilUsable(vm, limitMs - (performance.now() - killedAt), signal);
  return Math.round(performance.now() - killedAt);
}
