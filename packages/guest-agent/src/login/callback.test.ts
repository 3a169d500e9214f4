/** The agent in the place of the person's browser, with a listener of the test in the place of the CLI's. */
import { writeFile } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { ProviderLogin } from '@airlock/contract/provider/facts';
import { describe, expect, it, onTestFinished } from 'vitest';
import { benchFor, sayUrl, self, until, writeAuth, type Bench } from '../fixtures/login.js';

describe('a login that is finished from a browser elsewhere', () => {
  const callback = { callback: true } as const;
  const cliSaying = (script: string, changes: Partial<ProviderLogin>): Promise<Bench> =>
    benchFor(script, self, changes);
  const state = 'state-of-this-try';
  const code = 'canary-4711-secret';

  /** A CLI whose listener is the test's: it waits until that has got an answer, and ends as the answer says. */
  async function cliAt(answer: RequestListener): Promise<Bench & { address: string; came: string[] }> {
    const came: string[] = [];
    const server = createServer((request, response) => {
      came.push(request.url ?? '');
      answer(request, response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.closeAllConnections());
    onTestFinished(() => void server.close());
    const address = `http://localhost:${(server.address() as AddressInfo).port}/cb`;
    const page = `https://auth.openai.com/oauth/authorize?redirect_uri=${encodeURIComponent(address)}&state=${state}&x=1`;
    const script = `echo '${page}'; until [ -e "$0.go" ]; do sleep 0.05; done; cat "$0.go"; grep -q no "$0.go" && exit 1; ${writeAuth}`;
    return { ...(await cliSaying(script, callback)), address, came };
  }

  it('opens the pasted address at the CLI’s own listener, goes on as that says, and shows the code nowhere', async () => {
    const { login, folder, address, came } = await cliAt(({ url: path }, response) => {
      const next = path?.startsWith('/cb') ? { location: '/done?token=t' } : { location: 'https://auth.openai.com/' };
      response.writeHead(302, next).end();
    });
    login.start('codex', 'callback');
    const opened = await until(login, 'browser_opened');
    expect(opened).toMatchObject({ method: 'callback', takesCode: true, deviceCode: { code: null } });
    expect(opened.deviceCode?.url).toContain(`state=${state}`);
    expect(opened.lastOutput).not.toContain(state);
    for (const other of ['another', `${state}&code=b`])
      await expect(login.input(`${address}?code=${code}&state=${other}`)).rejects.toMatchObject({
        code: 'invalid_request',
      });
    expect(came).toEqual([]);
    const first = login.input(` ${address.replace('localhost', '127.0.0.1')}?code=${code}&scope=a+b&state=${state}\n`);
    await expect(login.input(`${address}?code=${code}&state=${state}`)).rejects.toMatchObject({
      code: 'login_running',
    });
    await expect(first).resolves.toMatchObject({ state: 'browser_opened', takesCode: false });
    expect(came).toEqual([`/cb?code=${code}&scope=a+b&state=${state}`, '/done?token=t']);
    await writeFile(join(folder, 'bin/codex.go'), `got ${code}\n`);
    const ended = await until(login, 'succeeded', 'failed');
    expect(ended).toMatchObject({ state: 'succeeded', takesCode: false });
    expect(ended.lastOutput).not.toContain('canary');
    expect(JSON.stringify(login.terminal())).not.toContain('canary');
    await expect(login.input(`${address}?code=${code}&state=${state}`)).rejects.toMatchObject({
      code: 'login_running',
    });
  });

  it('takes another address where the CLI refuses one', async () => {
    const statuses = [400, 200];
    const { login, address, came } = await cliAt((_, response) => {
      response.writeHead(statuses.shift() ?? 500).end();
    });
    login.start('codex', 'callback');
    await until(login, 'browser_opened');
    await expect(login.input(`${address}?code=${code}&state=${state}`)).rejects.toMatchObject({
      code: 'login_failed',
      message: expect.stringMatching(
        /^The CLI does not take the address at localhost:\d+ in the VM \(400\)\.$/,
      ) as string,
    });
    expect(login.status()).toMatchObject({ state: 'browser_opened', takesCode: true });
    await login.input(`${address}?code=${code}&state=${state}`);
    expect([came.length, login.status().takesCode]).toEqual([2, false]);
  });

  it('tells the CLI that the person was refused, which then says so itself', async () => {
    const { login, folder, address, came } = await cliAt((_, response) => void response.end('Denied'));
    login.start('codex', 'callback');
    await until(login, 'browser_opened');
    await login.input(`${address}?error=access_denied&error_description=No+thanks&state=${state}`);
    expect(came).toEqual([`/cb?error=access_denied&error_description=No+thanks&state=${state}`]);
    await writeFile(join(folder, 'bin/codex.go'), 'Error logging in: Sign-in failed: no\n');
    expect(await until(login, 'succeeded', 'failed')).toMatchObject({ state: 'failed', exitCode: 1 });
    expect(login.status().lastOutput).toContain('Sign-in failed');
  });

  it('says it where no CLI listens, and asks again', async () => {
    const page = `https://auth.openai.com/oauth/authorize?redirect_uri=http%3A%2F%2Flocalhost%3A1%2Fcb&state=${state}`;
    const { login } = await cliSaying(`echo '${page}'; echo; exec sleep 300`, callback);
    login.start('codex', 'callback');
    await until(login, 'browser_opened');
    const refused = login.input(`http://localhost:1/cb?code=${code}&state=${state}`);
    await expect(refused).rejects.toMatchObject({
      ...{ code: 'login_failed', message: expect.stringContaining('ECONNREFUSED') as string },
    });
    await expect(refused).rejects.not.toThrow(/canary/);
    expect(login.status()).toMatchObject({ state: 'browser_opened', takesCode: true });
  });

  it('is not to be had of a CLI whose page leads elsewhere, or that has no such way', async () => {
    const { login } = await cliSaying(`${sayUrl}; ${writeAuth}`, callback);
    login.start('codex', 'callback');
    expect(await until(login, 'succeeded')).toMatchObject({ deviceCode: null, takesCode: false });
    const { login: other } = await cliSaying(sayUrl, { callback: undefined } as unknown as Partial<ProviderLogin>);
    expect(() => other.start('codex', 'callback')).toThrow(expect.objectContaining({ code: 'provider_unavailable' }));
  });
});
