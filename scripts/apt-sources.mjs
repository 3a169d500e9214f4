/**
 * Reads apt's own sources (deb822 and one-line form), to find the mirror that this host already uses for Debian. No mirror
 * is ever written into the project. Also used by packages/image-builder; apt-sources.d.mts says the types.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * @typedef {{uris: string[], suites: string[], components: string[], signedBy: string, trusted: string}} AptSource
 * `signedBy` and `trusted` are empty when the source does not say.
 */

const words = (text) => text.split(/\s+/).filter(Boolean);

/** One `.sources` file. Continuation lines (an inline key) are kept as they are. */
export function parseDeb822(text) {
  return text
    .split(/\n(?:[ \t]*\n)+/)
    .map(stanzaFields)
    .filter((f) => words(f.types ?? '').includes('deb') && !/^(no|false|0)$/i.test(f.enabled ?? ''))
    .map((f) => ({
      uris: words(f.uris ?? ''),
      suites: words(f.suites ?? ''),
      components: words(f.components ?? ''),
      signedBy: f['signed-by'] ?? '',
      trusted: f.trusted ?? '',
    }));
}

function stanzaFields(stanza) {
  const fields = {};
  let last;
  for (const line of stanza.split('\n')) {
    if (line.startsWith('#')) continue;
    const field = /^([A-Za-z-]+):[ \t]*(.*)$/.exec(line);
    if (field) {
      last = field[1].toLowerCase();
      fields[last] = field[2].trimEnd();
    } else if (last && /^[ \t]/.test(line)) {
      fields[last] += `\n${line.trimEnd()}`;
    }
  }
  return fields;
}

/** One `.list` file: `deb [option=value …] uri suite component…` */
export function parseOneLine(text) {
  return text
    .split('\n')
    .map((line) => /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)([^#]*)/.exec(line))
    .filter((match) => match !== null)
    .map(([, options = '', uri, suite, components]) => ({
      uris: [uri],
      suites: [suite],
      components: words(components),
      signedBy: (/(?:^|\s)signed-by=(\S+)/.exec(options)?.[1] ?? '').replaceAll(',', ' '),
      trusted: /(?:^|\s)trusted=(\S+)/.exec(options)?.[1] ?? '',
    }));
}

/**
 * The source that serves Debian itself, or undefined. Other vendors also publish a suite named like Debian's, so of
 * several the one that also has `-updates`, or Debian's keyring, wins.
 * @param {AptSource[]} sources
 * @param {string} codename such as `bookworm`
 */
export function debianSource(sources, codename) {
  const hasUpdates = (uri) => sources.some((s) => s.uris.includes(uri) && s.suites.includes(`${codename}-updates`));
  const score = (source) =>
    (source.uris.some(hasUpdates) ? 2 : 0) + (source.signedBy.includes('debian-archive') ? 1 : 0);
  return sources
    .filter((s) => s.suites.includes(codename))
    .filter((s) => s.components.includes('main') && s.uris.length > 0)
    .sort((a, b) => score(b) - score(a))[0];
}

/** True when one of the sources serves this suite. */
export const hasSuite = (sources, suite) => sources.some((source) => source.suites.includes(suite));

/** A deb822 stanza for `suite`, from the same place and under the same key as `source`. */
export function sourceStanza(source, suite) {
  const lines = [
    'Types: deb',
    `URIs: ${source.uris.join(' ')}`,
    `Suites: ${suite}`,
    'Components: main',
    ...(source.signedBy ? [`Signed-By: ${source.signedBy}`] : []),
    ...(source.trusted ? [`Trusted: ${source.trusted}`] : []),
  ];
  return `${lines.join('\n')}\n`;
}

/** All apt sources of this host. */
export function readAptSources(folder = '/etc/apt') {
  const parts = join(folder, 'sources.list.d');
  const names = ifThere(() => readdirSync(parts).sort(), []);
  return [join(folder, 'sources.list'), ...names.map((name) => join(parts, name))].flatMap((file) => {
    if (file.endsWith('.sources')) return parseDeb822(readFileSync(file, 'utf8'));
    return file.endsWith('.list') ? parseOneLine(ifThere(() => readFileSync(file, 'utf8'), '')) : [];
  });
}

function ifThere(read, instead) {
  try {
    return read();
  } catch (error) {
    if (error.code === 'ENOENT') return instead;
    throw error;
  }
}
