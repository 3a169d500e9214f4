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

/** Long and mixed: random. Words and paths have no capitals in the middle, or no digits. */
function redactOpaque(word: string): string {
  const hasDigit = /\d/.test(word);
  const hasBothCases = /[a-z]/.test(word) && /[A-Z]/.test(word);
  const isPath = word.includes('/') && !hasBothCases;
  if (isPath) return word;
  return (hasDigit && /[A-Za-z]/.test(word)) || hasBothCases || /^\d+$/.test(word) ? gone : word;
}

export function redact(text: string): string {
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
