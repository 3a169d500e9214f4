/** Answers that come piece by piece, which the interceptor cannot make itself: it forwards these calls to a server here. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text as textOf } from 'node:stream/consumers';
import type { Mockttp } from 'mockttp';
import type { StreamHandler, WebRequest } from './web.js';

export interface StreamServer {
  close(): Promise<void>;
}

export interface StreamOptions {
  /** By `https://host/path`; all are POST. */
  handlers: Readonly<Record<string, StreamHandler>>;
  /** Called with each call once it is forwarded; `remotePort` of the connection to the interceptor. */
  onRequest(url: URL, remotePort: number | undefined): void;
}

export async function openStreamServer(interceptor: Mockttp, options: StreamOptions): Promise<StreamServer> {
  const server = createServer((request, response) => {
    answer(request, response, options.handlers).catch((error: unknown) => {
      response.destroy(error instanceof Error ? error : undefined);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const target = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  for (const url of Object.keys(options.handlers)) {
    await interceptor.forPost(url).thenPassThrough({
      beforeRequest: async (request) => {
        const asked = new URL(request.url);
        options.onRequest(asked, request.remotePort);
        // Bodies may come compressed, also by zstd, which Node 20 cannot read but the interceptor can.
        const { 'content-encoding': _encoding, 'content-length': _length, host: _host, ...headers } = request.headers;
        const body = (await request.body.getText()) ?? '';
        // The host becomes a part of the path, so that one server can play several.
        return { url: `${target}/${asked.hostname}${asked.pathname}${asked.search}`, headers, body };
      },
    });
  }
  return {
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  handlers: StreamOptions['handlers'],
): Promise<void> {
  const url = new URL(`https:/${request.url}`);
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const web: WebRequest = {
    ...{ method: 'POST', host: url.hostname, path: url.pathname, query: url.searchParams },
    ...{ headers: request.headers, body: await textOf(request) },
  };
  const { status, headers, pieces } = handlers[`https://${url.hostname}${url.pathname}`]?.(web, gone.signal) ?? {
    ...{ status: 404, headers: {}, pieces: [] },
  };
  response.writeHead(status, headers).flushHeaders();
  for await (const piece of pieces) response.write(piece);
  response.end();
}
