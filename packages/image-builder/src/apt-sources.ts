/** Finds out from apt's own sources which Debian mirror this host uses, so that no mirror is written into the project. */
import { AppError } from '@airlock/contract/errors';
// Set-up reads them too, before anything is built: one reader for both.
import { readAptSources as readAll, type AptSource as Entry } from '../../../scripts/apt-sources.mjs';

export interface AptSource {
  uri: string;
  suites: string[];
  components: string[];
  /** Path of a keyring, or empty when the source names none (or carries the key itself). */
  signedBy: string;
}

/** One source for each address, and a key only where it is a file. Pure. */
export function oneEach(entries: readonly Entry[]): AptSource[] {
  return entries.flatMap(({ uris, suites, components, signedBy }) => {
    const keyring = signedBy.startsWith('/') ? (signedBy.split(/\s/)[0] ?? '') : '';
    return uris.map((uri) => ({ uri, suites, components, signedBy: keyring }));
  });
}

/** All package sources of this host. */
export const readAptSources = (etcApt?: string): AptSource[] => oneEach(readAll(etcApt));

const endsWith = (source: AptSource, path: string): boolean => source.uri.replace(/\/+$/, '').endsWith(path);

/**
 * The lines of a sources.list for `suite`, from the mirror that `sources` name: suite and updates, and security updates
 * when the host itself has a source of them.
 * @throws AppError host_unsupported when none of the sources serves Debian.
 */
export function sourcesFor(suite: string, sources: readonly AptSource[]): string[] {
  const usable = sources.filter((source) => source.components.includes('main') && source.suites[0] !== undefined);
  const main =
    usable.find((source) => endsWith(source, '/debian')) ??
    usable.find((source) => source.suites.some((name) => sources.some((s) => s.suites.includes(`${name}-updates`))));
  if (!main) {
    throw new AppError(
      'host_unsupported',
      `None of the ${sources.length} package sources of this host is a Debian mirror; the image is made of Debian packages.`,
      { hint: 'Add a source of Debian under /etc/apt/sources.list.d, such as the one of your Debian installation.' },
    );
  }
  const security = usable.find((source) => source.suites.some((name) => name.endsWith('-security')));
  const line = (source: AptSource, name: string): string =>
    `deb ${source.signedBy ? `[signed-by=${source.signedBy}] ` : ''}${source.uri} ${name} main`;
  return [
    line(main, suite),
    line(main, `${suite}-updates`),
    ...(security === undefined ? [] : [line(security, `${suite}-security`)]),
  ];
}

/** The lines of `apt-config dump` that decide how this host reaches a mirror: proxies, certificates, time limits. */
export function networkOptions(aptConfigDump: string): string[] {
  return aptConfigDump
    .split('\n')
    .filter((line) => /^Acquire::(?:http|https|ftp|tor|Retries|ForceIPv[46])\b.* ".+";$/i.test(line));
}
