/** Whether anything of the internet answers through the egress gateway, and what. */
import { runCommand, type CheckDeps, type Verdict } from './command.js';

const statusCode = (output: string): number => Number(/(\d{3})\s*$/.exec(output)?.[1] ?? 0);

/** Any answer of the site itself: 5xx may be the gateway's, 000 is none. */
function isSiteAnswer(exitCode: number, output: string): boolean {
  return exitCode === 0 && statusCode(output) >= 200 && statusCode(output) < 500;
}

/** Asks one host after the other until one answers; `output` has a line for each that was asked. */
export async function probeInternet(hosts: readonly string[], deps: CheckDeps): Promise<Verdict> {
  const lines: string[] = [];
  let last: Verdict = { ok: false, exitCode: null, output: '' };
  for (const host of hosts) {
    const argv = ['curl', '-sS', '-o', '/dev/null', '-w', '%{http_code}', `https://${host}`] as const;
    last = await runCommand('fetch', { argv, timeoutMs: 60_000, accepts: isSiteAnswer }, deps);
    lines.push(`${host}: ${last.output}`);
    if (last.ok) break;
  }
  return { ...last, output: lines.join('\n').slice(-4096) };
}
