/** A person at another device: opens the page of the device code through the fake internet, signs in and types the code. */
import { ProxyAgent, request } from 'undici';
import type { FakeInternet } from './fake-internet.js';

/** @throws Error unless the simulated OpenAI says that it is done */
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
