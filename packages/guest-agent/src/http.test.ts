import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AppError, ErrorResponse } from '@airlock/contract/errors';
import { describe, expect, it, onTestFinished } from 'vitest';
import { answer, type Route } from './http.js';

const token = 'the-agent-token-of-this-test-0123456789';
const routes: Route[] = [
  { method: 'GET', path: /^\/health$/, body: false, handle: () => ({ status: 200, json: { secret: true } }) },
  { method: 'PUT', path: /^\/echo\/(\w+)$/, body: true, handle: (name, body) => ({ status: 200, json: [name, body] }) },
  { method: 'POST', path: /^\/nothing$/, body: false, handle: () => ({ status: 204 }) },
  {
    method: 'GET',
    path: /^\/fails$/,
    body: false,
    handle: () => {
      throw new AppError('login_running', 'One runs.');
    },
  },
];

interface Reply {
  status: number;
  text: string;
}
interface Call {
  method: string;
  path: string;
  headers?: Record<string, string>;
  body?: string | Buffer;
}

/** A server with these routes; the function makes one call to it. */
async function serve(currentToken: string | null): Promise<(call: Call) => Promise<Reply>> {
  const gate = { token: () => currentToken, anonymousHealth: () => ({ minimal: true }) };
  const server = createServer((req, res) => void answer(req, res, { routes, gate, log: () => undefined }));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return ({ method, path, headers, body }) =>
    new Promise((resolve, reject) => {
      const call = request(
        { port, host: '127.0.0.1', method, path, headers: { ...headers }, agent: false },
        (response) => {
          let text = '';
          response.on('data', (chunk) => (text += String(chunk)));
          response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
        },
      );
      call.on('error', reject);
      call.end(body);
    });
}

const authorization = { authorization: `Bearer ${token}` };
const json = { ...authorization, 'content-type': 'application/json' };
const codeOf = (reply: Reply): string => ErrorResponse.parse(JSON.parse(reply.text)).error.code;

describe('answer', () => {
  it.each([
    ['no token', {}],
    ['another token', { authorization: `Bearer ${token}x` }],
    ['an empty token', { authorization: 'Bearer ' }],
    ['another scheme', { authorization: `Basic ${token}` }],
  ])('refuses a call with %s, whatever it asks for', async (_what, headers: Record<string, string>) => {
    const call = await serve(token);
    for (const path of ['/health', '/nowhere', '/echo/a']) {
      const reply = await call({ method: 'GET', path, headers });
      expect([reply.status, codeOf(reply)]).toEqual([401, 'unauthenticated']);
    }
  });

  it('answers only a minimal /health while there is no token to check', async () => {
    const call = await serve(null);
    expect(await call({ method: 'GET', path: '/health' })).toEqual({ status: 200, text: '{"minimal":true}' });
    for (const headers of [{}, { authorization: 'Bearer null' }, { authorization: 'Bearer undefined' }]) {
      const reply = await call({ method: 'POST', path: '/nothing', headers: { ...headers } });
      expect(reply.status).toBe(401);
    }
  });

  it('hands path and body to the route', async () => {
    const call = await serve(token);
    const reply = await call({ method: 'PUT', path: '/echo/abc', headers: json, body: '{"a":1}' });
    expect(reply).toEqual({ status: 200, text: '["abc",{"a":1}]' });
    expect(await call({ method: 'POST', path: '/nothing', headers: authorization })).toEqual({ status: 204, text: '' });
  });

  it.each([
    ['an unknown route', { method: 'GET', path: '/nowhere', headers: authorization }, 404, 'not_found'],
    [
      'a known path with another method',
      { method: 'DELETE', path: '/health', headers: authorization },
      404,
      'not_found',
    ],
    ['a query', { method: 'GET', path: '/health?x=1', headers: authorization }, 404, 'not_found'],
    ['a body that is no JSON', { method: 'PUT', path: '/echo/a', headers: json, body: '{' }, 400, 'invalid_request'],
    ['no body', { method: 'PUT', path: '/echo/a', headers: json }, 400, 'invalid_request'],
    [
      'a body of no type',
      { method: 'PUT', path: '/echo/a', headers: authorization, body: '{}' },
      415,
      'unsupported_media_type',
    ],
    [
      'a body where none belongs',
      { method: 'POST', path: '/nothing', headers: json, body: '{}' },
      400,
      'invalid_request',
    ],
    ['an error of the route', { method: 'GET', path: '/fails', headers: authorization }, 409, 'login_running'],
  ])('answers %s with its own error', async (_what, made: Call, status, code) => {
    const reply = await (await serve(token))(made);
    expect([reply.status, codeOf(reply)]).toEqual([status, code]);
  });

  it('says nothing when the caller hangs up in the middle of a body', async () => {
    const lines: string[] = [];
    const gate = { token: () => token, anonymousHealth: () => ({}) };
    const handled = new Promise<void>((resolve) => {
      const server = createServer((req, res) => {
        void answer(req, res, { routes, gate, log: (line) => lines.push(line) }).then(resolve);
        req.once('data', () => call.destroy());
      });
      onTestFinished(() => void server.close());
      let call: ReturnType<typeof request>;
      server.listen(0, '127.0.0.1', () => {
        const { port } = server.address() as AddressInfo;
        call = request({ port, host: '127.0.0.1', method: 'PUT', path: '/echo/a', headers: json, agent: false });
        call.on('error', () => call.destroy());
        call.write('{"a":');
      });
    });
    await handled;
    expect(lines).toEqual([]);
  });

  it.each([
    ['says so', { 'content-length': String(2 * 1024 * 1024 + 1) }],
    ['comes in chunks', { 'transfer-encoding': 'chunked' }],
  ])('refuses a body of more than 2 MiB that %s', async (_what, headers: Record<string, string>) => {
    const call = await serve(token);
    const body = Buffer.alloc(2 * 1024 * 1024 + 1, 0x20);
    const reply = await call({ method: 'PUT', path: '/echo/a', headers: { ...json, ...headers }, body });
    expect([reply.status, codeOf(reply)]).toEqual([413, 'payload_too_large']);
  });
});
