/** `airlock user …` that takes back, run as people run it, against a controller that the test plays. */
import { describe, expect, test } from 'vitest';
import { useController, useHome } from '../testing.js';

const home = useHome();
const { airlock } = home;

const at = '2026-01-01T00:00:00.000Z';
const [adaId, adminId] = ['usr_0123456789abcdef', 'usr_fedcba9876543210'] as const;
const signInId = 'sgn_0123456789abcdef';
const user = (id: string, name: string, role: string, state = 'active') => ({
  ...{ id, name, role, state },
  ...{ proxyPort: 10001, createdAt: at },
});
const signIn = { id: signInId, createdAt: at, lastUsedAt: null, expiresAt: at, current: false };

const { calls } = useController(home, (call) => {
  switch (call) {
    case 'GET /api/users':
      return { users: [user(adminId, 'admin', 'admin'), user(adaId, 'ada', 'user')] };
    case `POST /api/users/${adaId}/disable`:
      return user(adaId, 'ada', 'user', 'disabled');
    case `POST /api/users/${adaId}/enable`:
      return user(adaId, 'ada', 'user');
    case `POST /api/users/${adaId}/rotate-token`:
    case `POST /api/users/${adminId}/rotate-token`:
      return { token: 'the-next-token' };
    case `GET /api/users/${adaId}/sign-ins`:
      return { signIns: [signIn] };
    case `DELETE /api/users/${adaId}/sign-ins`:
      return { ended: 3 };
    case `DELETE /api/users/${adaId}/sign-ins/${signInId}`:
    case `DELETE /api/users/${adaId}`:
      return {};
    default:
      return undefined;
  }
});
const called = (): string[] => calls.map((call) => call.replace(' Bearer the-token', ''));

test.each([
  ['disable', 'disabled'],
  ['enable', 'active'],
])('user %s tells what the user is now', async (verb, state) => {
  expect(await airlock(['user', verb, 'ada'])).toMatchObject({ exitCode: 0, stdout: `ada ${state}\n` });
  const { stdout } = await airlock(['user', verb, 'ada', '--json']);
  expect(JSON.parse(stdout)).toMatchObject({ id: adaId, state });
  expect(called()).toContain(`POST /api/users/${adaId}/${verb}`);
});

test('a user whom nobody knows is said by name', async () => {
  const { exitCode, stderr } = await airlock(['user', 'disable', 'adda']);
  expect([exitCode, stderr]).toEqual([1, expect.stringMatching(/no user named adda.*airlock user list/s)]);
});

describe('user remove', () => {
  test('asks, and where nobody can be asked removes nothing', async () => {
    const { exitCode, stderr } = await airlock(['user', 'remove', 'ada']);
    expect([exitCode, stderr]).toEqual([
      1,
      expect.stringMatching(/Everything of ada .*goes for good.*user disable ada/s),
    ]);
    expect(called()).toEqual(['GET /api/users']);
  });

  test('removes without a question by --yes', async () => {
    expect(await airlock(['user', 'remove', 'ada', '--yes'])).toMatchObject({ exitCode: 0, stdout: 'ada removed\n' });
    expect(called()).toEqual(['GET /api/users', `DELETE /api/users/${adaId}`]);
  });
});

describe('user rotate-token', () => {
  test('prints the token of a user alone, and says what else whoever had the old one may have', async () => {
    const { stdout, stderr } = await airlock(['user', 'rotate-token', 'ada']);
    expect(stdout).toBe('the-next-token\n');
    expect(stderr).toContain('airlock user sign-out ada');
  });

  test('names the file of the admin’s, and does not show it', async () => {
    const { stdout } = await airlock(['user', 'rotate-token', 'admin']);
    expect(stdout).toContain(home.path);
    expect(stdout).not.toContain('the-next-token');
  });
});

test('user sign-ins and sign-out show and end sign-ins, one or all', async () => {
  expect((await airlock(['user', 'sign-ins', 'ada'])).stdout).toMatch(new RegExp(`${signInId} .*never`));
  expect((await airlock(['user', 'sign-out', 'ada'])).stdout).toBe('ada: 3 sign-ins ended\n');
  expect((await airlock(['user', 'sign-out', 'ada', signInId])).stdout).toBe('ada: 1 sign-in ended\n');
  const path = `/api/users/${adaId}/sign-ins`;
  const wanted = [`GET ${path}`, `DELETE ${path}`, `DELETE ${path}/${signInId}`];
  expect(called().filter((call) => call.includes('sign-ins'))).toEqual(wanted);
});
