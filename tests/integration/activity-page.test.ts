/** The activity page in a real browser, with every answer of the controller given by the test. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { auditActions, type AuditRecord } from '@airlock/contract/audit';
import { launchBrowser } from '../support/browser.js';
import { dashboardOrigin, openDashboard, type ApiCall } from '../support/built-dashboard.js';

let browser: Browser;
let page: Page;
let calls: string[];

const at = new Date().toISOString();
const adaId = 'usr_0123456789abcdef';
const others = 'sgn_fedcba9876543210';
const record = (id: number, values: Partial<AuditRecord>): AuditRecord => ({
  ...{ id, at, actorId: 'usr_fedcba9876543210', actorName: 'admin', via: 'token' },
  ...{ action: 'vm_stopped', userId: adaId, subject: 'vm_0123456789abcdef', details: {} },
  ...values,
});
const signIn = (id: string, current: boolean) => ({ id, createdAt: at, lastUsedAt: at, expiresAt: at, current });

async function answer({ call, route }: ApiCall): Promise<unknown> {
  if (!call.startsWith('GET')) calls.push(call);
  const older = new URL(route.request().url()).searchParams.get('before') === '5';
  switch (call) {
    case 'GET /api/me':
      return { user: { id: adaId, name: 'ada', role: 'user', proxyPort: 10001, createdAt: at } };
    case 'GET /api/audit':
      if (older) return { records: [record(4, { action: 'signed_in' })], more: false };
      return { records: [record(6, {}), record(5, { action: 'home_backed_up' })], more: true };
    case 'GET /api/users/me/sign-ins':
      return { signIns: [signIn('sgn_0123456789abcdef', true), signIn(others, false)] };
    case 'DELETE /api/users/me/sign-ins':
      return { ended: 2 };
    default:
      return void (await route.fulfill({ status: 204 }));
  }
}

beforeAll(async () => {
  browser = await launchBrowser();
}, 60_000);
afterAll(() => browser.close(), 30_000);
beforeEach(async () => {
  calls = [];
  page = await openDashboard(browser, answer, { viewport: { width: 390, height: 844 } });
  await page.goto(`${dashboardOrigin}/dashboard/activity`);
});
afterEach(() => page.context().close());

it('shows what an administrator did, in words, and older records when asked; on a phone, too', async () => {
  const records = page.getByTestId('audit-records').getByRole('listitem');
  await records.nth(1).waitFor();
  expect(await records.nth(1).innerText()).toContain(auditActions.home_backed_up);
  expect(await records.nth(1).innerText()).toContain('by admin');
  await page.getByRole('button', { name: 'Show older' }).click();
  await records.nth(2).waitFor();
  expect(await records.nth(2).innerText()).toContain(auditActions.signed_in);
  const width = await page.evaluate('document.documentElement.scrollWidth');
  expect(width).toBeLessThanOrEqual(390);
});

it('ends the sign-in of another browser, or all', async () => {
  const signIns = page.getByTestId('sign-ins').getByRole('listitem');
  await signIns.nth(1).waitFor();
  await signIns.nth(1).getByRole('button', { name: 'Sign out' }).click();
  await expect.poll(() => calls).toEqual([`DELETE /api/users/me/sign-ins/${others}`]);
  await page.getByRole('button', { name: 'Sign out everywhere' }).click();
  await expect.poll(() => calls).toContain('DELETE /api/users/me/sign-ins');
});
