/** Finds out from apt's own sources which Debian mirror this machine uses, so that no mirror is written into the project. */
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@airlock/contract/errors';

export interface AptSource {
  uri: string;
  suites: string[];
  components: string[];
  /** Path of a keyring, or empty when the source names none (or carries the key itself). */
  signedBy: string;
}

const words = (text: string): string[] => text.split(/\s+/).filter(Boolean);

/** The `deb` entries of a deb822 file (`*.sources`), one for each URI. */
export function parseDeb822(text: string): AptSource[] {
  return text.split(/\n\s*\n/).flatMap((stanza) => {
    const field = stanzaFields(stanza);
    if (!words(field.get('types') ?? '').includes('deb')) return [];
    if (/^(no|false|0)$/i.test(field.get('enabled') ?? '')) return [];
    const signedBy = field.get('signed-by') ?? '';
    return words(field.get('uris') ?? '').map((uri) => ({
      uri,
      suites: words(field.get('suites') ?? ''),
      components: words(field.get('components') ?? ''),
      signedBy: signedBy.startsWith('/') ? signedBy : '',
    }));
  });
}

function stanzaFields(stanza: string): Map<string, string> {
  const fields = new Map<string, string>();
  let last = '';
  for (const line of stanza.split('\n')) {
    if (line.startsWith('#')) continue;
    const match = /^([A-Za-z-]+):\s*(.*)$/.exec(line);
    if (match?.[1] !== undefined) {
      last = match[1].toLowerCase();
      fields.set(last, (match[2] ?? '').trim());
    } else if (/^\s/.test(line)) {
      fields.set(last, `${fields.get(last) ?? ''} ${line.trim()}`.trim());
    }
  }
  return fields;
}

/** The `deb` lines of a one-line file (`*.list`): `deb [option=value …] uri suite component…`. */
export function parseOneLine(text: string): AptSource[] {
  return text.split('\n').flatMap((line) => {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)([^#]*)/.exec(line);
    if (!match) return [];
    const [, options = '', uri = '', suite = '', components = ''] = match;
    const signedBy = /(?:^|\s)signed-by=(\S+)/.exec(options)?.[1] ?? '';
    return [{ uri, suites: [suite], components: words(components), signedBy: signedBy.split(',')[0] ?? '' }];
  });
}

const endsWith = (source: AptSource, path: string): boolean => source.uri.replace(/\/+$/, '').endsWith(path);

/**
 * The lines of a sources.list for `suite`, from the mirror that `sources` name: suite and updates, and security updates
 * when the machine itself has a source of them.
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
      `None of the ${sources.length} package sources of this machine is a Debian mirror; the image is made of Debian packages.`,
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

/** All package sources of this machine. */
export async function readAptSources(etcApt = '/etc/apt'): Promise<AptSource[]> {
  const parts = await readdir(join(etcApt, 'sources.list.d')).catch(missing([] as string[]));
  const list = await readFile(join(etcApt, 'sources.list'), 'utf8').catch(missing(''));
  const entries = await Promise.all(
    parts.sort().map(async (name) => {
      if (!/\.(list|sources)$/.test(name)) return [];
      const text = await readFile(join(etcApt, 'sources.list.d', name), 'utf8');
      return name.endsWith('.list') ? parseOneLine(text) : parseDeb822(text);
    }),
  );
  return [...parseOneLine(list), ...entries.flat()];
}

const missing =
  <T>(instead: T) =>
  (error: NodeJS.ErrnoException): T => {
    if (error.code === 'ENOENT') return instead;
    throw error;
  };

/** The lines of `apt-config dump` that decide how this machine reaches a mirror: proxies, certificates, time limits. */
export function networkOptions(aptConfigDump: string): string[] {
  return aptConfigDump
    .split('\n')
    .filter((line) => /^Acquire::(?:http|https|ftp|tor|Retries|ForceIPv[46])\b.* ".+";$/i.test(line));
}
