/** Server-sent events, as the HTML standard has them: written here and read here, on whichever side. */

export interface ServerEvent {
  /** `message` where the stream names none. */
  event: string;
  data: string;
}

/** Written now and then, so that both sides see that the other one is there. Readers pass over it. */
export const signOfLife = ': still here\n\n';

/** The data of the last event of a stream that says by itself that it is whole. */
export const endOfEvents = '[DONE]';

/** One event as text. `data` has no line break: JSON has none. */
export function eventText({ event, id, data }: { event?: string; id?: number; data: string }): string {
  const named = event === undefined ? '' : `event: ${event}\n`;
  const numbered = id === undefined ? '' : `id: ${id}\n`;
  return `${named}${numbered}data: ${data}\n\n`;
}

/** Characters of one event. Who sends them may be anybody. */
const maxEvent = 4 * 1024 * 1024;

/** The events of a text that comes in pieces. An event that the end cuts off is none. @throws Error on one without end */
export async function* readEvents(pieces: AsyncIterable<string>): AsyncGenerator<ServerEvent, void> {
  let rest = '';
  for await (const piece of pieces) {
    const blocks = (rest + piece).replaceAll('\r\n', '\n').split('\n\n');
    rest = blocks.pop() ?? '';
    if (rest.length > maxEvent) throw new Error('an event without end');
    for (const block of blocks) {
      const event = parseEvent(block);
      if (event.data !== '') yield event;
    }
  }
}

/** Fields by line; several lines of data are one text. */
function parseEvent(block: string): ServerEvent {
  const event = { event: 'message', data: '' };
  for (const line of block.split('\n')) {
    const [, name, value] = /^(\w+):? ?(.*)$/.exec(line) ?? [];
    if (name === 'event') event.event = value ?? '';
    if (name === 'data') event.data += `${event.data === '' ? '' : '\n'}${value ?? ''}`;
  }
  return event;
}
