/** status.json of a VM, read by whoever is not its runner. */
import { parseOrNull, readAtMost } from './file.js';
import { answerBytes, parseReceived } from './received.js';
import { RunnerStatus } from './runner.js';

/**
 * The last word of a runner; null when it is larger than any that a runner writes, or none at all, such as a crash of the host leaves.
 * @throws the system's error when the file cannot be read
 */
export async function readStatusFile(path: string): Promise<RunnerStatus | null> {
  const content = await readAtMost(path, answerBytes.plain);
  if (content === null) return null;
  return parseOrNull(content.toString('utf8'), (text) => RunnerStatus.parse(parseReceived(text)));
}
