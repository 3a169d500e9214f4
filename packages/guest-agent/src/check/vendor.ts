/** Puts a login to its vendor, by the way out that the CLI has; the login is neither among the arguments nor in what is answered. */
import type { VendorQuestion } from '@airlock/contract/provider/facts';
import { z } from 'zod';
import { redactedTail, withoutSecrets } from '../redact.js';
import type { CheckDeps } from './command.js';

const word = z.string().optional().catch(undefined);
/** As vendors write it: `{error: {code | status | type, message}}`, or `{detail}`. */
const Refused = z.union([
  z.looseObject({ error: z.looseObject({ code: word, status: word, type: word, message: word }) }),
  z.looseObject({ detail: z.string() }).transform(({ detail }) => ({ error: { message: detail } })),
]);
const reasonCharacters = 300;
/** Milliseconds, for emulation and a slow line. */
const timeoutMs = 30_000;

/**
 * `<host> answers <status>: <its reason>` where the vendor itself refuses the login, in one line; null for any other answer, and for none:
 * a proxy's refusal, an outage or a limit says nothing of the login.
 */
export async function refusalOfVendor(
  { url, headers, refusedBy }: VendorQuestion,
  { processes, variables, home, user }: Pick<CheckDeps, 'processes' | 'variables' | 'home' | 'user'>,
): Promise<string | null> {
  const secrets = Object.values(headers);
  // In a home that its user may write to anything may stand where a key was.
  if (!secrets.every((value) => /^[\x20-\x7e]+$/.test(value))) return null;
  const { exitCode, output } = await processes.run({
    // `-q`: as told here, whatever stands in the home; `@-`: the headers come on standard input.
    argv: ['curl', '-q', '-sS', '-H', '@-', '-w', '\n%{http_code}', url],
    input: Object.entries(headers)
      .map(([name, value]) => `${name}: ${value}\n`)
      .join(''),
    env: variables(),
    cwd: home,
    user,
    timeoutMs,
  });
  const [, body = '', status = ''] = /^([\s\S]*)\n(\d{3})$/.exec(output) ?? [];
  const said = exitCode === 0 && refusedBy.includes(Number(status)) ? reasonIn(body) : null;
  if (said === null) return null;
  const bare = withoutSecrets(
    said,
    secrets.flatMap((value) => [value, value.replace(/^Bearer /, '')]),
  );
  const reason = redactedTail(bare.replaceAll(/\s+/g, ' '), 1, reasonCharacters);
  return `${new URL(url).hostname} answers ${status}: ${reason}`;
}

/** null for what is no answer of the vendor: a page of something between. */
function reasonIn(body: string): string | null {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    return null;
  }
  const { error } = Refused.safeParse(json).data ?? {};
  if (!error) return null;
  const { code, status, type, message } = { code: undefined, status: undefined, type: undefined, ...error };
  return [code ?? status ?? type, message].filter(Boolean).join(': ') || 'no reason';
}
