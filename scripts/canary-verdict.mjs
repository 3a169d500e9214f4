/** What a run of the sign-ins says about each CLI. Pure. */

/** Which file of `tests/e2e` signs in to which CLI. */
const files = { codex: 'codex-sign-in', claude: 'claude-sign-in', gemini: 'gemini-sign-in' };

/**
 * @param {Record<string, string>} versions of each CLI, as in an image's manifest
 * @param {{testResults: {name: string, status: string, message?: string, assertionResults: {title: string, status: string,
 * failureMessages?: string[]}[]}[]}} report vitest's, in JSON
 * @returns {{lines: string[], ok: boolean}} not ok unless every sign-in that ran has passed, and one ran
 */
export function verdict(versions, report) {
  const judged = Object.entries(files).map(([cli, file]) => {
    const name = `${cli} ${versions[cli] ?? '(unknown version)'}`;
    const result = report.testResults.find((one) => one.name.includes(file));
    if (!result) return { line: `${name}: not tried`, ok: null };
    const broken = result.assertionResults.find(({ status }) => status === 'failed');
    const ran = result.assertionResults.some(({ status }) => status === 'passed');
    if (result.status === 'passed' && !broken && ran) return { line: `${name}: signs in`, ok: true };
    const why = broken?.failureMessages?.[0] ?? result.message ?? '';
    const where = broken ? `at "${broken.title}"` : 'before its first test';
    return { line: `${name}: FAILS ${where}: ${why.split('\n', 1)[0]}`, ok: false };
  });
  return {
    lines: judged.map(({ line }) => line),
    ok: judged.some(({ ok }) => ok === true) && judged.every(({ ok }) => ok !== false),
  };
}
