/** A provider whose refresh tokens are for one use: each use gives a new one, and using one twice ends the whole login. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { randomBytes } from 'node:crypto';

export interface RotatingProvider {
  tokenUrl: string;
  /** The only refresh token that is still good; null once one was used twice. */
  live(): string | null;
  refreshes(): number;
  reused(): number;
  close(): Promise<void>;
}

const newToken = (): string => `rt_${randomBytes(16).toString('base64url')}`;

export async function startRotatingProvider(): Promise<RotatingProvider> {
  let live: string | null = newToken();
  let refreshes = 0;
  let reused = 0;
  const server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    request.once('end', () => {
      const given = new URLSearchParams(text).get('refresh_token');
      if (given === null || given !== live) {
        reused += 1;
        live = null;
        response.writeHead(400).end(JSON.stringify({ error: 'invalid_grant' }));
        return;
      }
      refreshes += 1;
      live = newToken();
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ id_token: 'id', access_token: `at_${refreshes}`, refresh_token: live }));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    tokenUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/oauth/token`,
    live: () => live,
    refreshes: () => refreshes,
    reused: () => reused,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
