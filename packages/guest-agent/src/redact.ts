/** Takes out of a text what may be a secret, before it leaves the VM. Rather too much than too little. Pure. */
const gone = '[redacted]';

/** Names in front of a value: `token: x`, `"password":"x"`, `code=x`, `Bearer x`. */
const named =
  /\b((?:access|refresh|id|auth|bearer|api|session)?[_-]?(?:token|secret|password|passwd|passcode|key)|authorization|cookie)(["']?\s*[:=]\s*["']?)(?:(?:bearer|basic)\s+)?[^\s"',;]+/gi;
const queryLike = /\b(code|state|nonce|code_verifier|code_challenge)=[^\s&"']+/gi;
const bearer = /\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}/gi;
const jwt = /\beyJ[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*){0,4}/g;
const prefixed = /\b(?:sk|pk|rt|at|ya29|gh[a-z]|xox[a-z]|AIza)[-_.][A-Za-z0-9._/-]{8,}/g;
/** What a CLI has masked itself still shows some characters of it. */
const masked = /[\w-]+\*{3,}[\w-]*|\*{3,}[\w-]+/g;
const opaque = /[A-Za-z0-9_+/-]{20,}={0,2}/g;
const address = /\b([a-z][a-z0-9+.-]*:\/\/)([^\s"'<>]+)/gi;

/** Scheme, host and path of an address; user, query and fragment may hold anything. */
function redactAddress(_whole: string, scheme: string, rest: string): string {
  const [beforeQuery = '', ...queries] = rest.split(/[?#]/);
  const withoutUser = beforeQuery.replace(/^[^/]*@/, '');
  return `${scheme}${withoutUser}${queries.length > 0 ? '?…' : ''}`;
}

/** A place among the image's programs, as stack frames and "not found" name it, with what could hang on it. */
const programPath =
  /(?<![\w.~%@-])(\/usr\/(?:local\/)?(?:bin|sbin|lib|libexec|share)\/|\/\$bunfs\/root\/)([\w@+./-]*)([?#][^\s"'<>)]*)?/g;
/** `UserRefreshClientError`: words put together, each with a vowel; a random text is not. */
const compound = /^[a-z]{0,14}(?:[A-Z]{2,5}(?=[A-Z][a-z]|\d?$)|[A-Z][a-z]{1,13}\d?)+$/;
const nameless = /[b-df-hj-np-tv-xz]{5}|(?![AEIOUY])[A-Z][b-df-hj-np-tv-xz]+(?=[A-Z\d]|$)/;

/** A name that somebody has thought of, with few words for its length. */
function isName(word: string): boolean {
  const capitals = word.replace(/[^A-Z]/g, '').length;
  return compound.test(word) && !nameless.test(word) && capitals * 4 <= word.length && /^\D*\d?\D*$/.test(word);
}

/** A part of a path without a break that is as mixed as a random text. */
function isMixed(part: string): boolean {
  if (part.length <= 10 || isName(part)) return false;
  const changes = part.match(/[A-Za-z](?=\d)|\d(?=[A-Za-z])|[a-z](?=[A-Z])/g)?.length ?? 0;
  return changes > 2;
}

/** As files are called: words, numbers, capitals, and what they make together. */
const isPlain = (part: string): boolean =>
  /^(?:[a-z]*\d{0,4}|\d+[a-z]*|[A-Z]{2,10}|[A-Z][a-z]+)$/.test(part) || isName(part);

/** Characters of a path that are no name, such as those in `chunk-7QVYU63E`: more of them in one path are a secret in pieces. */
const oddAtMost = 12;

/** Below the image's program folders everything is public but what is put there as if it were a name. */
function redactProgramPath(_whole: string, folder: string, rest: string, tail: string | undefined): string {
  const all = rest.split(/([/._@+-])/);
  const odd = all.filter((part, at) => at % 2 === 0 && !isPlain(part));
  const isSecret = odd.join('').length > oddAtMost;
  const parts = all.map((part) => (isMixed(part) || (isSecret && odd.includes(part)) ? gone : part));
  return `${folder}${parts.join('')}${tail === undefined ? '' : '?…'}`;
}

/** Long and mixed: random. Words and paths have no capitals in the middle, or no digits. */
function redactOpaque(word: string): string {
  const hasDigit = /\d/.test(word);
  const hasBothCases = /[a-z]/.test(word) && /[A-Z]/.test(word);
  if (isName(word)) return word;
  if (word.includes('/') && !hasBothCases) return word.split('/').some(isMixed) ? gone : word;
  return (hasDigit && /[A-Za-z]/.test(word)) || hasBothCases || /^\d+$/.test(word) ? gone : word;
}

function redactWords(text: string): string {
  return text
    .replace(address, redactAddress)
    .replace(jwt, gone)
    .replace(bearer, `$1 ${gone}`)
    .replace(named, `$1$2${gone}`)
    .replace(queryLike, `$1=${gone}`)
    .replace(prefixed, gone)
    .replace(masked, gone)
    .replace(opaque, redactOpaque);
}

export function redact(text: string): string {
  const paths = [...text.matchAll(programPath)];
  const between = (at: number): string => {
    const before = paths[at - 1];
    return redactWords(text.slice(before ? before.index + before[0].length : 0, paths[at]?.index));
  };
  return (
    paths.map((path, at) => between(at) + redactProgramPath(path[0], path[1] ?? '', path[2] ?? '', path[3])).join('') +
    between(paths.length)
  );
}

/** The last lines of a text, redacted, at most `maxCharacters` (a multiple of lines where possible). */
export function redactedTail(text: string, maxLines: number, maxCharacters: number): string {
  const lines = redact(text)
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line, index, all) => line !== '' || (all[index - 1] ?? '') !== '');
  return lines.join('\n').trim().split('\n').slice(-maxLines).join('\n').slice(-maxCharacters);
}

/** So many characters of a secret in a row are taken for it: its echo may be cut short. */
const echoFrom = 6;
/** What may stand between two characters of an echo: line ends, and the frame around an input field. */
const gap = /[\s|\u2500-\u259f]/;

/** Where an echo of `secret` that begins at `start` ends; `start` itself when none does. */
function endOfEcho(text: string, start: number, secret: string): number {
  let matched = 0;
  let end = start;
  for (let index = start; index < text.length && matched < secret.length; index += 1) {
    const character = text.charAt(index);
    if (character === secret[matched]) {
      matched += 1;
      end = index + 1;
    } else if (matched === 0 || !gap.test(character)) break;
  }
  return matched >= Math.min(echoFrom, secret.length) ? end : start;
}

function withoutSecret(text: string, secret: string): string {
  let rest = '';
  for (let index = 0; index < text.length; index += 1) {
    const end = endOfEcho(text, index, secret);
    rest += end > index ? '[redacted]' : text.charAt(index);
    if (end > index) index = end - 1;
  }
  return rest;
}

/** The text without these secrets, also where a terminal wraps or frames one, or shows only its beginning. */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  return secrets.reduce(withoutSecret, text);
}
