/** How much of a long stream has gone by, on standard error. */
import { note } from '../lib/output.js';

const mib = 1024 * 1024;
/** A line each so many MiB where nobody looks; on a terminal one line that changes, not more often than each so many milliseconds. */
const everyMib = 256;
const everyMs = 250;

/** The same pieces; says meanwhile how many MiB there were. */
export async function* inMib(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void> {
  const isTerminal = process.stderr.isTTY === true;
  let bytes = 0;
  let said = 0;
  let saidAt = 0;
  const say = (): void => {
    const whole = Math.floor(bytes / mib);
    if (isTerminal) process.stderr.write(`\r${whole} MiB`);
    else note(`${whole} MiB …`);
    said = whole;
    saidAt = Date.now();
  };
  for await (const piece of pieces) {
    yield piece;
    bytes += piece.length;
    const isDue = isTerminal ? Date.now() - saidAt >= everyMs : bytes / mib - said >= everyMib;
    if (isDue) say();
  }
  if (isTerminal && said > 0) process.stderr.write('\n');
}
