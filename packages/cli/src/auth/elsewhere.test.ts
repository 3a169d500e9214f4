/** `airlock auth callback`, run as people run it, against a controller that the test plays. */
import { beforeEach, expect, test } from 'vitest';
import { AppError } from '@airlock/contract/errors';
import { newId } from '@airlock/contract/ids';
import type { Session } from '@airlock/contract/session';
import { useController, useHome } from '../testing.js';

const home = useHome();
const id = newId('ses');
const page = 'https://auth.openai.com/oauth/authorize?redirect_uri=http%3A%2F%2Flocalhost%3A1455%2Fcb&state=s';
const address = 'http://localhost:1455/cb?code=canary-4711&state=s';
const at = '2026-01-01T00:00:00.000Z';
const [path, method] = [`/api/vm/auth/${id}`, 'callback'] as const;

const sessionOf = (values: Partial<Session>): Session => ({
  ...{ id, sessionId: id, provider: 'codex', status: 'awaiting_user_auth', revision: 1, createdAt: at, updatedAt: at },
  ...{ deadlineAt: null, expiresAt: null, expiresAtMost: null, destroyAt: null, browserVmId: null, cliVmId: null },
  ...{ desktopReady: true, steps: [], login: null, notice: null, error: null },
  ...values,
});
const waiting = sessionOf({ login: { method, deviceCode: { url: page, code: null }, takesCode: true } });
const inDesktop = sessionOf({ login: { method: 'browser', deviceCode: null, takesCode: false } });
const begun = sessionOf({ status: 'ready', login: { method, deviceCode: null, takesCode: false } });

let found: Session;
let events: Session[];
let refused: AppError | undefined;
const controller = useController(home, (call, response) => {
  if (call === `GET ${path}`) return found;
  if (call === `POST ${path}/fallback`) return begun;
  if (call === `GET ${path}/events`) {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(events.map((one) => `event: session\ndata: ${JSON.stringify(one)}\n\n`).join(''));
    return undefined;
  }
  if (refused) response.writeHead(refused.status).end(JSON.stringify({ error: refused.toBody() }));
  return sessionOf({});
});
beforeEach(() => {
  [found, events, refused] = [inDesktop, [begun, waiting], undefined];
});
const run = () => home.airlock(['auth', 'callback', id], {}, `${address}\n`);
const calls = (): string[] => controller.calls.map((call) => call.replace(/ Bearer.*/, ''));

test('begins that login, shows its page, and hands in the address from standard input, which nothing shows', async () => {
  const { exitCode, stdout, stderr } = await run();
  expect([exitCode, stdout]).toEqual([0, `${page}\n${id} awaiting_user_auth\n`]);
  expect(stderr).toContain(`airlock auth watch ${id}`);
  expect(calls()).toEqual([`GET ${path}`, `POST ${path}/fallback`, `GET ${path}/events`, `POST ${path}/code`]);
  expect(controller.bodies).toEqual([{ method }, { code: address }]);
  expect(stdout + stderr).not.toContain('canary');
});

test('after a refused address the same login is gone on with, and the refusal is told without it', async () => {
  [found, events] = [waiting, [waiting]];
  refused = new AppError('invalid_request', 'That is of another sign-in.', { hint: 'Sign in on that page.' });
  const { exitCode, stdout, stderr } = await run();
  expect([exitCode, stdout]).toEqual([1, `${page}\n`]);
  expect(stderr).toMatch(/That is of another sign-in\..*Sign in on that page\./s);
  expect(stderr).not.toContain('canary');
  expect(controller.bodies).toEqual([{ code: address }]);
});

const notice = new AppError('login_failed', 'The CLI broke.', { hint: 'Try again.' }).toBody();
test.each([
  ['failed', sessionOf({ notice }), /The CLI broke\..*login_failed/s],
  ['ended', sessionOf({ status: 'failed', error: notice }), /The CLI broke\..*login_failed/s],
  ['was cancelled', sessionOf({ status: 'cancelled' }), /session_finished/],
])('a login that %s meanwhile is told, and no address is sent', async (_how, session, told) => {
  events = [begun, session];
  const { exitCode, stdout, stderr } = await run();
  expect([exitCode, stdout]).toEqual([1, '']);
  expect(stderr).toMatch(told);
  expect(controller.bodies).toEqual([{ method }]);
});
