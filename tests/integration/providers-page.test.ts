/** The page of the person's CLIs in a real browser, with every answer of the controller given by the test. */
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { CredentialSummary, ProviderSummary } from '@airlock/contract/api';
import { providers } from '@airlock/contract/provider/registry';
import type { ProviderId } from '@airlock/contract/provider/provider';
import { launchBrowser } from '../support/browser.js';
import { dashboardOrigin, openDashboard, screenshots, type ApiCall } from '../support/built-dashboard.js';

let browser: Browser;
let page: Page;
let credentials: CredentialSummary[];
/** Plays the controller where it answers in pieces. */
let stream: Server;
let play: (response: ServerResponse) => void;
let calls: { call: string; body: unknown }[];

const ago = (minutes: number): string => new Date(Date.now() - minutes * 60_000).toISOString();

function credentialOf(provider: ProviderId, values: Partial<CredentialSummary> = {}): CredentialSummary {
  return {
    ...{ provider, generation: 1, state: 'active', method: 'login', updatedAt: ago(90) },
    ...{ health: 'valid', healthReason: 'The CLI accepts it.', lastCheckedAt: ago(5), expiresAt: null },
    ...{ holderVmId: 'vm_0123456789abcdef', copy: 'newest', copyReason: '', error: null },
    ...values,
  };
}

function summaryOf(id: ProviderId): ProviderSummary {
  const { name, vendor, description } = providers[id];
  const own = credentials.find((one) => one.provider === id);
  const isBroken = own?.health === 'needs_login' || own?.health === 'revoked';
  return {
    ...{ id, name, vendor, description, available: true, sessionId: null, lastFailure: null },
    state: own?.state !== 'active' ? 'not_connected' : isBroken ? 'needs_login' : 'connected',
    connectedAt: own === undefined ? null : own.updatedAt,
  };
}

/** The controller's part in what the page does. */
function answer({ call, body, route }: ApiCall): unknown {
  if (!call.startsWith('GET')) calls.push({ call, body });
  switch (call) {
    case 'GET /api/me':
      return { user: { id: 'usr_0123456789abcdef', name: 'ada', role: 'user', proxyPort: 10001, createdAt: ago(0) } };
    case 'GET /api/vm':
      return { vms: [] };
    case 'GET /api/providers':
      return { providers: (['codex', 'claude_code', 'gemini_cli'] as const).map(summaryOf) };
    case 'GET /api/credentials':
      return { credentials };
    case 'POST /api/credentials/codex/check':
      credentials = [credentialOf('codex', { lastCheckedAt: ago(0), health: 'needs_login', healthReason: 'Gone.' })];
      return credentials[0];
    case 'DELETE /api/credentials/codex':
      credentials = [];
      return { cliVm: 'removed' };
    case 'PUT /api/credentials/codex/api-key':
      credentials = [
        credentialOf('codex', { state: 'staged', method: 'api_key', health: 'unknown', lastCheckedAt: null }),
      ];
      return { provider: 'codex', generation: 1 };
    case 'POST /api/vm/me/cli/prompt':
      return route.continue({ url: `http://127.0.0.1:${(stream.address() as AddressInfo).port}/` });
    default:
      throw new Error(`the page called ${call}`);
  }
}

async function open(...present: CredentialSummary[]): Promise<void> {
  credentials = present;
  await page.goto(`${dashboardOrigin}/dashboard/remote-cli`);
  await page.getByTestId('provider-codex').waitFor();
}

const health = (): Promise<string> => page.getByTestId('health-codex').innerText();
/** One event of a prompt's answer. */
const data = (event: object): string => `data: ${JSON.stringify(event)}\n\n`;
const answerText = (): Promise<string | null> => page.getByTestId('prompt-text').textContent();
const answerState = (): Promise<string | null> => page.getByTestId('prompt-answer').getAttribute('data-state');

async function askCodex(text: string): Promise<void> {
  await page.getByLabel('Your prompt').fill(text);
  await page.getByRole('button', { name: 'Ask Codex' }).click();
}

beforeAll(async () => {
  browser = await launchBrowser();
  stream = createServer((request, response) => {
    request.resume();
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
    play(response);
  });
  stream.listen(0, '127.0.0.1');
  await once(stream, 'listening');
});
afterAll(async () => {
  await browser.close();
  stream.closeAllConnections();
  stream.close();
});
beforeEach(async () => {
  calls = [];
  play = (response) => response.destroy();
  page = await openDashboard(browser, answer);
});
afterEach(() => page.context().close());

describe('the cards of the CLIs', () => {
  it('offer to connect, and nothing to try, before anything is connected', async () => {
    await open();
    expect(await page.getByTestId('try-it').count()).toBe(0);
    expect(await page.getByTestId('vault-owner').allInnerTexts()).toEqual(Array(3).fill('Goes to the vault of ada'));
    expect(await page.getByTestId(/^check-|^credential-menu-|^own-vm/).count()).toBe(0);
    await screenshots(page, 'cards-none');
  });

  it('say before Connect who cannot sign in, and what they can do, until it is connected', async () => {
    await open();
    const notice = page.getByTestId('notice-gemini_cli');
    expect(await notice.innerText()).toMatch(/18 June 2026.*individuals.*API key.*Workspace.*licence/s);
    await page.getByTestId('provider-gemini_cli').getByRole('button', { name: 'Use an API key' }).waitFor();
    expect(await page.getByTestId(/^notice-/).count()).toBe(1);
    await open(credentialOf('gemini_cli'));
    await page.getByTestId('health-gemini_cli').waitFor();
    expect(await notice.count()).toBe(0);
  });

  it.each<[string, Partial<CredentialSummary>, string, RegExp]>([
    ['valid', {}, 'Connected since', /^Works · checked \S+/],
    [
      'expiring',
      { health: 'expiring', expiresAt: ago(-30), healthReason: 'It expires soon.' },
      'Connected since',
      /^Expires .+ · checked .+\n+It cannot renew itself: sign in again before then\.$/,
    ],
    [
      'needs_login',
      { health: 'needs_login', healthReason: 'The CLI does not accept it (exit code 1).' },
      'Needs a new sign-in',
      /^No longer works · checked .+\n+The CLI does not accept it/,
    ],
    [
      'revoked',
      { health: 'revoked', healthReason: 'The CLI says that the provider has taken it back.' },
      'Needs a new sign-in',
      /^Taken back by the provider · checked /,
    ],
  ])(
    'tell that a credential is %s, when it was checked, and offer to reconnect',
    async (state, values, label, words) => {
      await open(credentialOf('codex', values));
      await expect.poll(health).toMatch(words);
      const card = page.getByTestId('provider-codex');
      expect(await page.getByTestId('health-codex').getAttribute('data-health')).toBe(state);
      await card.getByText(label).waitFor();
      expect(await page.getByTestId('connect-codex').textContent()).toBe('Reconnect');
      await screenshots(page, `card-${state}`);
    },
  );

  it('check a credential now', async () => {
    await open(credentialOf('codex'));
    await page.getByTestId('check-codex').click();
    await expect.poll(health).toMatch(/^No longer works · checked .+\n+Gone\.$/);
    expect(calls.map(({ call }) => call)).toEqual(['POST /api/credentials/codex/check']);
  });

  it('remove a credential, after asking', async () => {
    await open(credentialOf('codex'));
    await page.getByTestId('credential-menu-codex').click();
    await page.getByRole('menuitem', { name: 'Remove' }).click();
    await page.getByText(/To end the login everywhere|to end the login everywhere/).waitFor();
    await page.getByRole('menu').waitFor({ state: 'detached' });
    expect(calls).toEqual([]);
    await screenshots(page, 'remove');
    await page.getByTestId('remove-confirm-codex').click();
    await page.getByTestId('health-codex').waitFor({ state: 'detached' });
    expect(calls.map(({ call }) => call)).toEqual(['DELETE /api/credentials/codex']);
  });

  it('take an API key, and tell that it is being checked', async () => {
    await open();
    await page.getByTestId('provider-codex').getByRole('button', { name: 'Use an API key' }).click();
    const use = page.getByRole('button', { name: 'Use this key' });
    await page.getByLabel('API key of OpenAI').fill('sk-no');
    await page.getByText('This does not look like a whole API key.').waitFor();
    expect(await use.isDisabled()).toBe(true);
    await screenshots(page, 'api-key');
    await page.getByLabel('API key of OpenAI').fill('sk-test-1234567890abcdefghijklmnop');
    await use.click();
    await expect.poll(health).toMatch(/^Being checked/);
    await page.getByLabel('API key of OpenAI').waitFor({ state: 'detached' });
    expect(calls).toEqual([
      { call: 'PUT /api/credentials/codex/api-key', body: { key: 'sk-test-1234567890abcdefghijklmnop' } },
    ]);
  });
});

describe('the box to try a CLI', () => {
  it('shows the answer as it comes, then the exit code', async () => {
    await open(credentialOf('codex'), credentialOf('claude_code'), credentialOf('gemini_cli', { state: 'staged' }));
    let say = (_text: string): void => undefined;
    play = (response) => (say = (text) => void response.write(text));
    expect(await page.getByLabel('CLI', { exact: true }).getByRole('option').allTextContents()).toEqual([
      'Codex',
      'Claude Code',
    ]);
    await page.getByLabel('Time limit').selectOption('1 minute');
    await askCodex('What is a symbolic link?');
    await page.getByText('Asking Airlock…').waitFor();
    await expect.poll(() => calls.length).toBe(1);
    say(data({ status: 'starting the CLI VM' }));
    await page.getByText('Starting the CLI VM…').waitFor();
    say(data({ chunk: 'A symbolic link is a file\n' }));
    await expect.poll(answerText).toBe('A symbolic link is a file\n');
    say(data({ chunk: 'that names another.\n' }));
    await expect.poll(answerText).toBe('A symbolic link is a file\nthat names another.\n');
    expect(await answerState()).toBe('running');
    await screenshots(page, 'try-it-running');
    say(`${data({ exitCode: 0 })}data: [DONE]\n\n`);
    await page.getByText('Exit code 0').waitFor();
    expect(await answerState()).toBe('ended');
    await screenshots(page, 'try-it-ended');
    expect(calls).toEqual([
      {
        call: 'POST /api/vm/me/cli/prompt',
        body: { provider: 'codex', prompt: 'What is a symbolic link?', timeoutS: 60 },
      },
    ]);
  });

  it('cancels: the stream is left, what has come stays', async () => {
    await open(credentialOf('codex'));
    let isLeft = false;
    play = (response) => {
      response.once('close', () => (isLeft = true));
      response.write(data({ chunk: 'It begins' }));
    };
    await askCodex('Tell me everything.');
    await expect.poll(answerText).toBe('It begins');
    await page.getByTestId('prompt-cancel').click();
    await page.getByText('Cancelled').waitFor();
    await expect.poll(() => isLeft).toBe(true);
    expect(await answerText()).toBe('It begins');
    await page.getByRole('button', { name: 'Ask Codex' }).waitFor();
    expect(calls).toHaveLength(1);
  });

  it('brings the answer into view where the window is small', async () => {
    await open(credentialOf('codex'));
    const height = 500;
    await page.setViewportSize({ width: 1280, height });
    const bottomOf = async (element: string): Promise<number> => {
      const box = await page.getByTestId(element).boundingBox();
      return box === null ? Infinity : box.y + box.height;
    };
    let say: (text: string) => void = () => undefined;
    play = (response) => (say = (text) => response.write(text));
    await askCodex('Is it there?');
    await expect.poll(() => bottomOf('prompt-answer')).toBeLessThan(height);
    say(data({ chunk: 'In short: yes.\n'.repeat(5) }));
    await expect.poll(() => bottomOf('prompt-text')).toBeLessThan(height);
  });

  it('leaving the page cancels as well', async () => {
    await open(credentialOf('codex'));
    let isLeft = false;
    play = (response) => {
      response.once('close', () => (isLeft = true));
      response.write(data({ chunk: 'It begins' }));
    };
    await askCodex('Tell me everything.');
    await expect.poll(answerText).toBe('It begins');
    await page.goto(`${dashboardOrigin}/dashboard/nowhere`);
    await expect.poll(() => isLeft).toBe(true);
  });

  it('tells why there is no whole answer, in the CLI’s or the controller’s words', async () => {
    await open(credentialOf('codex'));
    const error = { code: 'prompt_timeout', message: 'Codex did not answer within 60 s.', hint: 'Ask for less.' };
    play = (response) =>
      response.end(`${data({ chunk: 'It' })}${data({ error })}${data({ exitCode: null })}data: [DONE]\n\n`);
    await askCodex('Be slow.');
    await page.getByRole('alert').getByText('Codex did not answer within 60 s.').waitFor();
    await page.getByText('Codex did not end by itself').waitFor();
    expect(await answerText()).toBe('It');
    await screenshots(page, 'try-it-error');
    play = (response) => response.end(data({ chunk: 'It' }));
    await askCodex('Break off.');
    await page.getByText(/The answer broke off/).waitFor();
  });

  it('fits a phone', async () => {
    const phone = await openDashboard(browser, answer, { viewport: { width: 390, height: 844 }, hasTouch: true });
    page = await page
      .context()
      .close()
      .then(() => phone);
    await open(credentialOf('codex'));
    play = (response) =>
      response.end(`${data({ chunk: `${'x'.repeat(400)}\n` })}${data({ exitCode: 0 })}data: [DONE]\n\n`);
    await askCodex('Long, please.');
    await page.getByText('Exit code 0').waitFor();
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(390);
  });
});
