/** Goes where the person's browser would go at the end of a sign-in, to a CLI that listens on loopback; never anywhere else. */
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { AppError } from '@airlock/contract/errors';
import { isLoopback } from '@airlock/contract/provider/callback';

/** A CLI redeems the code before it answers; the caller of the agent waits for thirty seconds. */
const answerMs = 25_000;
/** The CLI may lead on to a page of its own, which tells it that it may end. */
const hops = 5;

/**
 * Resolves when the CLI has taken the address, at the latest after `answerMs`: what it makes of it, it says by its end.
 * @throws AppError login_failed, without the address
 */
export async function openCallback(address: URL): Promise<void> {
  const signal = AbortSignal.timeout(answerMs);
  const refused = (found: string | number | undefined): AppError =>
    new AppError('login_failed', `The CLI does not take the address at ${address.host} in the VM (${found}).`, {
      hint: 'Paste it once more, or start again.',
    });
  const first = await answerOf(address, signal).catch((error: NodeJS.ErrnoException) => {
    if (signal.aborted) return null;
    throw refused(error.code);
  });
  if (first?.statusCode !== undefined && first.statusCode >= 400) throw refused(first.statusCode);
  let next = first && leadsTo(first, address);
  for (let hop = 0; next !== null && hop < hops; hop += 1) {
    const from: URL = next;
    // It has the address by now, and may end while it answers.
    next = await answerOf(from, signal).then(
      (answer) => leadsTo(answer, from),
      () => null,
    );
  }
}

async function answerOf(address: URL, signal: AbortSignal): Promise<IncomingMessage> {
  const request = get(address, { agent: false, signal }).on('error', () => undefined);
  const [answer] = (await once(request, 'response')) as [IncomingMessage];
  return answer.on('error', () => undefined).resume();
}

/** Where on the same listener, if there. */
function leadsTo({ headers }: IncomingMessage, from: URL): URL | null {
  const { location } = headers;
  if (location === undefined || !URL.canParse(location, from.href)) return null;
  const to = new URL(location, from);
  return isLoopback(to) && to.port === from.port ? to : null;
}
