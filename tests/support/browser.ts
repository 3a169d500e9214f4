/** Debian's Chromium under Playwright, headless, without any connection of its own. */
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { chromium, type Browser } from 'playwright-core';

/** Keeps Chromium from looking for updates, accounts and field trials; tests run without an internet. */
const quietArguments = [
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-quic',
  '--disable-gpu',
  '--no-first-run',
  '--no-default-browser-check',
];

export interface BrowserOptions {
  /** An upstream proxy as URL with user and password; none by default. */
  proxyUrl?: string;
  arguments?: readonly string[];
}

/** Starts a browser with an empty profile; `close()` on it ends every process. @throws Error when none is installed. */
export async function launchBrowser(options: BrowserOptions = {}): Promise<Browser> {
  const executablePath = await findExecutable('chromium', 'chromium-browser', 'google-chrome');
  const proxy = options.proxyUrl === undefined ? undefined : new URL(options.proxyUrl);
  return chromium.launch({
    executablePath,
    args: [...quietArguments, ...(options.arguments ?? [])],
    // Chromium refuses its sandbox to root, and only to root.
    chromiumSandbox: process.getuid?.() !== 0,
    ...(proxy && {
      proxy: {
        server: proxy.origin,
        // Callback servers of CLIs are on loopback and are never proxied.
        bypass: 'localhost,127.0.0.1',
        username: decodeURIComponent(proxy.username),
        password: decodeURIComponent(proxy.password),
      },
    }),
  });
}

/** The first of these programs that is on PATH. @throws Error naming all of them. */
export async function findExecutable(...names: [string, ...string[]]): Promise<string> {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter(Boolean);
  for (const name of names) {
    for (const folder of folders) {
      const path = join(folder, name);
      const found = await access(path, constants.X_OK).then(
        () => true,
        () => false,
      );
      if (found) return path;
    }
  }
  throw new Error(`None of ${names.join(', ')} is on PATH; on Debian: apt-get install chromium.`);
}
