/** Server-sent events of a sign-in, parsed. Ends with the stream; the caller stops by leaving its loop. */
import { request } from 'undici';
import { AppError, ErrorResponse } from '@airlock/contract/errors';
import { Session } from '@airlock/contract/session';
import type { Api } from '../lib/api.js';

export interface ServerEvent {
  event: string;
  data: string;
}

/** Cuts a text stream into events, as the HTML standard says: fields by line, events by empty line. */
export async function* parseEvents(chunks: AsyncIterable<string>): AsyncGenerator<ServerEvent> {
  let rest = '';
  for await (const chunk of chunks) {
    const blocks = (rest + chunk).replaceAll('\r\n', '\n').split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const event = { event: 'message', data: '' };
      for (const line of block.split('\n')) {
        const [, name, value] = /^(\w+):? ?(.*)$/.exec(line) ?? [];
        if (name === 'event') event.event = value ?? '';
        if (name === 'data') event.data += `${event.data === '' ? '' : '\n'}${value ?? ''}`;
      }
      if (event.data !== '') yield event;
    }
  }
}

/** Each state of the sign-in as it comes, the present one first. */
export async function* sessionEvents(api: Api, path: string): AsyncGenerator<Session> {
  const headers = { authorization: `Bearer ${api.token}`, accept: 'text/event-stream' };
  const { statusCode, body } = await request(new URL(path, api.url), { headers, bodyTimeout: 0 });
  if (statusCode >= 400) {
    const answer = ErrorResponse.safeParse(JSON.parse(await body.text()));
    throw answer.success
      ? AppError.fromBody(answer.data.error)
      : new AppError('internal', `GET ${path} answered ${statusCode} without an error body.`);
  }
  body.setEncoding('utf8');
  try {
    for await (const { event, data } of parseEvents(body)) {
      if (event === 'session') yield Session.parse(JSON.parse(data));
    }
  } finally {
    body.destroy();
  }
}
