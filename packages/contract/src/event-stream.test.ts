import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { eventText, readEvents, signOfLife } from './event-stream.js';

const parse = async (chunks: string[]) => {
  const events = [];
  for await (const event of readEvents(Readable.from(chunks))) events.push(event);
  return events;
};

test.each([
  ['whole', ['id: 1\nevent: session\ndata: {"a":1}\n\n']],
  ['in pieces', ['id: 1\nev', 'ent: session\nda', 'ta: {"a":1}\n', '\n']],
  ['with CRLF', ['id: 1\r\nevent: session\r\ndata: {"a":1}\r\n\r\n']],
  ['after a comment', [': keep-alive\n\n', 'event:session\ndata:{"a":1}\n\n']],
])('an event %s', async (_name, chunks) => {
  expect(await parse(chunks)).toEqual([{ event: 'session', data: '{"a":1}' }]);
});

test('data over several lines, and an event cut off by the end', async () => {
  expect(await parse(['data: a\ndata: b\n\ndata: half'])).toEqual([{ event: 'message', data: 'a\nb' }]);
});

test('what one side writes, the other one reads', async () => {
  const text = [eventText({ data: '{}' }), signOfLife, eventText({ event: 'session', id: 7, data: '"\\n"' })].join('');
  expect(await parse([text])).toEqual([
    { event: 'message', data: '{}' },
    { event: 'session', data: '"\\n"' },
  ]);
});

test('an event without end is left', async () => {
  const piece = `data: ${'x'.repeat(1024 * 1024)}`;
  await expect(parse(Array<string>(5).fill(piece))).rejects.toThrow('without end');
});
