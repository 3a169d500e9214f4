/**
 * `--browser google-chrome`: Google's own package instead of Debian's Chromium, for those whose network lets it be fetched.
 * `npm run up` and the tests never ask for it.
 */
import { createHash } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { AppError } from '@airlock/contract/errors';
import { run } from '@airlock/contract/process';

export interface PinnedFile {
  url: string;
  /** Lower-case hex. */
  sha256: string;
}

/** A Debian package that brings Google Chrome, and the version that the program tells. */
export interface PinnedBrowser extends PinnedFile {
  name: 'google-chrome';
  version: string;
}

/** The one place to change its version: address and SHA-256 belong together. */
export const googleChrome = {
  name: 'google-chrome',
  version: '145.0.7632.116',
  url: 'https://dl.google.com/linux/chrome/deb/pool/main/g/google-chrome-stable/google-chrome-stable_145.0.7632.116-1_amd64.deb',
  sha256: Buffer.from('lGMopGtpLp3g0PVIfRIACNP6yRarzQDIsuctNbiqCCo=', 'base64').toString('hex'),
} as const satisfies PinnedBrowser;

/**
 * Fetches a file with apt's settings of this host (proxy, certificates) and compares its checksum.
 * @throws AppError image_build_failed when it cannot be fetched or is another file; then nothing is left at `target`.
 */
export async function fetchPinned({ url, sha256 }: PinnedFile, target: string, signal: AbortSignal): Promise<void> {
  try {
    await run('/usr/lib/apt/apt-helper', ['download-file', url, target], { signal });
  } catch (error) {
    await rm(target, { force: true });
    if (signal.aborted) throw error;
    throw new AppError('image_build_failed', `${url} cannot be fetched: ${AppError.inItsWords(error).message}`, {
      hint: 'Build without `--browser`: Debian’s Chromium comes from the same mirror as everything else.',
      cause: error,
    });
  }
  const found = createHash('sha256')
    .update(await readFile(target))
    .digest('hex');
  if (found === sha256) return;
  await rm(target);
  throw new AppError('image_build_failed', `${url} is not the expected file: SHA-256 ${found}, not ${sha256}.`, {
    hint: 'Nothing of it was used. The expected checksum is in packages/image-builder/src/chrome.ts.',
  });
}
