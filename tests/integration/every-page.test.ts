/**
 * Every page of the dashboard in a real browser, in every state that has a face of its own: axe-core finds nothing in it, the keyboard
 * is seen wherever it goes, nothing moves for who wants that, and nothing is lost at 400 %.
 */
import { readFile } from 'node:fs/promises';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AppError } from '@airlock/contract/errors';
import { Session } from '@airlock/contract/session';
import { launchBrowser } from '../support/browser.js';
import { dashboardOrigin, expectAccessible, openDashboard, type ApiCall } from '../support/built-dashboard.js';
import { sampleSession, sessionId as id } from '../support/sample-session.js';
import { playDesktop } from '../support/stand-in-desktop.js';

const at = new Date().toISOString();
const soon = new Date(Date.now() + 200_000).toISOString();
const problem = new AppError('internal', 'It did not work.').toBody();

const sessionOf = (values: Partial<Session>): Session => {
  const { steps } = sampleSession();
  const [first, ...others] = steps;
  const begun = first === undefined ? [] : [{ ...first, status: 'running' as const, startedAt: at }];
  return sampleSession({ desktopReady: false, login: null, steps: [...begun, ...others], ...values });
};
const login = (values: object = {}): Pick<Session, 'login'> =>
  ({ login: { method: 'browser', deviceCode: null, takesCode: false, ...values } }) as Pick<Session, 'login'>;
const code = { url: 'https://auth.openai.com/codex/device', code: 'G6C3-T6CV2' };
const ownPage = 'https://auth.openai.com/oauth/authorize?redirect_uri=http%3A%2F%2Flocalhost%3A1455%2Fcb&state=s';
const ended = { expiresAt: null } as const;

interface Shown {
  path: string;
  /** Words that are there once it is. */
  says: string | RegExp;
  session?: Partial<Session>;
  role?: 'admin';
  /** Of every call that begins so. */
  fails?: { call: string; status: number; code: 'unauthenticated' | 'not_found' | 'internal' };
}
const auth = `/remote-cli/auth?session=${id}`;
const failing = (call: string, status: number, name: NonNullable<Shown['fails']>['code']): Pick<Shown, 'fails'> => ({
  fails: { call, status, code: name },
});

const pages: Record<string, Shown> = {
  // Who is signed in already is taken to the CLIs.
  'login without a link': {
    ...{ path: '/login', says: 'Open your login link' },
    ...failing('GET /api/me', 401, 'unauthenticated'),
  },
  'login with a link that does not work': {
    ...{ path: '/login#token=0123456789abcdef', says: 'Signing in did not work' },
    ...failing('POST /api/login/account', 500, 'internal'),
  },
  'the CLIs': { path: '/remote-cli', says: 'What happens when you connect' },
  activity: { path: '/activity', says: 'Where you are signed in' },
  'administration, for others': { path: '/admin', says: 'administrators' },
  administration: { path: '/admin', says: 'Virtual machines', role: 'admin' },
  'no such page': { path: '/nowhere', says: 'There is no such page' },
  'a page that cannot be loaded': {
    path: '/remote-cli',
    says: 'could not be loaded',
    ...failing('GET /api/me', 500, 'internal'),
  },
  'no sign-in': { path: '/remote-cli/auth', says: 'There is no such sign-in' },
  'a sign-in that is not there': {
    path: auth,
    says: 'There is no such sign-in',
    ...failing('GET /api/vm/auth', 404, 'not_found'),
  },
  'a sign-in that cannot be shown': {
    path: auth,
    says: 'cannot be shown',
    ...failing('GET /api/vm/auth', 500, 'internal'),
  },
  'a sign-in: pending': { path: auth, says: 'Getting ready', session: { status: 'pending' } },
  'a sign-in: starting': { path: auth, says: 'Private computer starting', session: { status: 'vm_created' } },
  'a sign-in: ready': {
    path: auth,
    says: 'Opening the sign-in page',
    session: { status: 'ready', desktopReady: true },
  },
  'a sign-in: the desktop': { path: auth, says: 'Your turn', session: { ...login(), desktopReady: true } },
  'a sign-in: a code for another device': {
    ...{ path: auth, says: 'on this or any other device' },
    session: { ...login({ method: 'device_code', deviceCode: code }), desktopReady: true },
  },
  'a sign-in: an own browser': {
    ...{ path: auth, says: 'with your own browser' },
    session: {
      ...login({ method: 'callback', deviceCode: { url: ownPage, code: null }, takesCode: true }),
      desktopReady: true,
    },
  },
  'a sign-in: a code to paste': {
    ...{ path: auth, says: 'paste it here' },
    session: { ...login({ takesCode: true }), desktopReady: true },
  },
  'a sign-in: a try that failed': {
    path: auth,
    says: 'That did not work',
    session: { notice: problem, desktopReady: true },
  },
  'a sign-in: authenticating': {
    path: auth,
    says: 'Finishing',
    session: { status: 'authenticating', desktopReady: true },
  },
  'a sign-in: delivering': { path: auth, says: 'You are signed in', session: { status: 'delivering', ...ended } },
  'a sign-in: completed': {
    path: auth,
    says: 'is connected',
    session: { status: 'completed', ...ended, desktopReady: true },
  },
  'a sign-in: failed': {
    path: auth,
    says: 'The sign-in failed',
    session: { status: 'failed', ...ended, error: problem },
  },
  'a sign-in: timeout': { path: auth, says: 'is up', session: { status: 'timeout', ...ended } },
  'a sign-in: cancelled': { path: auth, says: 'was cancelled', session: { status: 'cancelled', ...ended } },
};

async function answer(
  { role = 'user', session, fails }: Omit<Shown, 'role'> & { role?: string },
  { call, route }: ApiCall,
) {
  if (fails && call.startsWith(fails.call))
    return route.fulfill({
      status: fails.status,
      json: { error: new AppError(fails.code, 'It did not work.').toBody() },
    });
  const ada = { id: 'usr_0123456789abcdef', name: 'ada', role, proxyPort: 10001, createdAt: at };
  const answers: Record<string, unknown> = {
    'GET /api/me': { user: ada },
    'GET /api/vm': { vms: [] },
    'GET /api/providers': { providers: [] },
    'GET /api/credentials': { credentials: [] },
    'GET /api/audit': { records: [], more: false },
    'GET /api/users': { users: [{ ...ada, state: 'active' }] },
    'GET /api/users/me/sign-ins': {
      signIns: [{ id: 'sgn_0123456789abcdef', createdAt: at, lastUsedAt: at, expiresAt: soon, current: true }],
    },
    'GET /api/system': {
      ...{ version: '0.1.0', startedAt: at, accel: 'kvm', accelReason: '', imageId: null, database: 'pglite' },
      ...{ network: 'user', networkReason: '', driver: 'qemu', driverReason: '' },
      ...{ vms: { running: 0, total: 0 }, lostVmFolders: [], clis: [], canary: null },
    },
    [`GET /api/vm/auth/${id}`]: sessionOf(session ?? {}),
  };
  return answers[call];
}

let browser: Browser;
beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(() => browser.close());

async function open(shown: Shown, viewport = { width: 1280, height: 800 }): Promise<Page> {
  const page = await openDashboard(browser, (call) => answer(shown, call), { viewport, reducedMotion: 'reduce' });
  await playDesktop(page);
  await page.goto(`${dashboardOrigin}/dashboard${shown.path}`);
  await page.getByText(shown.says).filter({ visible: true }).first().waitFor();
  if (shown.session?.desktopReady === true && shown.session.status !== 'completed')
    await page.locator('[data-testid=desktop][data-state=connected]').waitFor();
  return page;
}

/** Where the keyboard goes by Tab, until the page ends or the desktop takes it; what is not seen to have it. */
async function unseenFocus(page: Page): Promise<string[]> {
  await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur());
  const unseen: string[] = [];
  for (let steps = 0; steps < 60; steps += 1) {
    await page.keyboard.press('Tab');
    const found = await page.evaluate(() => {
      const active = document.activeElement;
      if (active === null || active === document.body || active.tagName === 'CANVAS') return null;
      const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(active);
      const isSeen = (outlineStyle !== 'none' && parseFloat(outlineWidth) >= 1) || boxShadow !== 'none';
      return isSeen ? '' : active.outerHTML.slice(0, 120);
    });
    if (found === null) break;
    if (found !== '') unseen.push(found);
  }
  return unseen;
}

describe('a page of the dashboard', () => {
  it.each(Object.entries(pages))('is for everybody: %s', async (name, shown) => {
    const page = await open(shown);
    // Before axe-core, which ends every transition.
    const moving = await page.evaluate(() =>
      [...document.querySelectorAll('*')].flatMap((element) => {
        const { animationName, animationDuration, transitionDuration } = getComputedStyle(element);
        const isStill =
          (animationName === 'none' || animationDuration === '0s') && /^[0s, ]+$/.test(transitionDuration);
        return isStill ? [] : [element.outerHTML.slice(0, 120)];
      }),
    );
    expect(moving, 'what moves').toEqual([]);
    await expectAccessible(page, name);
    expect(await page.locator('h1').count(), 'headings of the page').toBe(1);
    expect(await unseenFocus(page), 'where the keyboard is not seen').toEqual([]);
    // 1280 × 1024 at 400 %.
    await page.setViewportSize({ width: 320, height: 256 });
    expect(await page.evaluate(() => document.documentElement.scrollWidth), 'width at 400 %').toBeLessThanOrEqual(320);
    await page.context().close();
  });

  it('is among these, whatever its address', async () => {
    const router = await readFile(new URL('../../packages/dashboard/src/app/router.tsx', import.meta.url), 'utf8');
    const paths = [...router.matchAll(/path: '([^']+)'/g)].map(([, path]) => path ?? '').filter((path) => path !== '/');
    const tried = new Set(Object.values(pages).map(({ path }) => path.replace(/[?#].*/, '')));
    expect(paths.filter((path) => !tried.has(path))).toEqual([]);
    const statuses = Object.values(pages).map(({ session }) => session?.status ?? 'awaiting_user_auth');
    expect(Session.shape.status.options.filter((status) => !statuses.includes(status))).toEqual([]);
  });
});
