/** A person at another device: opens the address that the dashboard shows there, through the fake internet, and signs in. */
import type { Page } from 'playwright-core';
import { ProxyAgent, request } from 'undici';
import { launchBrowser } from './browser.js';
import type { FakeInternet } from './fake-internet.js';

/** Logs in and decides by clicks in a browser of that device; `look` answers what the page shows then. */
export async function decideElsewhere<T>(
  internet: FakeInternet,
  address: string,
  decision: 'Allow' | 'Deny',
  look: (page: Page) => Promise<T>,
): Promise<T> {
  const browser = await launchBrowser({ proxyUrl: internet.upstreamUrl() });
  try {
    const page = await browser.newPage({ ignoreHTTPSErrors: true });
    await page.goto(address);
    await page.getByLabel('Email address').fill(internet.account.email);
    await page.getByLabel('Password').fill(internet.account.password);
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: decision }).click();
    return await look(page);
  } finally {
    await browser.close();
  }
}

/** Types the code of a device sign-in. @throws Error unless the simulated OpenAI says that it is done */
export async function finishOnSecondDevice(
  internet: FakeInternet,
  { url, code }: { url: string; code: string },
): Promise<void> {
  const dispatcher = new ProxyAgent({ uri: internet.upstreamUrl(), requestTls: { ca: internet.caPem } });
  const post = (path: string, form: Record<string, string>) =>
    request(new URL(path, url), {
      dispatcher,
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams(form).toString(),
    });
  try {
    const first = await request(url, { dispatcher });
    const challenge = new URL(String(first.headers['location']), url).searchParams.get('challenge') ?? '';
    const { email, password } = internet.account;
    await (await post('/log-in', { challenge, email, password })).body.dump();
    const done = await post('/codex/device/code', { challenge, user_code: code });
    if (done.statusCode !== 200) throw new Error(`The code was refused: ${await done.body.text()}`);
    await done.body.dump();
  } finally {
    await dispatcher.close();
  }
}
