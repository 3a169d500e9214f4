/** What a run of the sign-ins says about each CLI. Pure. */

/**
 * @param {{id: string, version: string}[]} clis as in an image's manifest; the file of `tests/e2e` that signs in is named after
 * the id
 * @param {{testResults: {name: string, status: string, message?: string, assertionResults: {title: string, status: string,
 * failureMessages?: string[]}[]}[]}} report vitest's, in JSON
 * @returns {{lines: string[], ok: boolean}} not ok unless every sign-in that ran has passed, and one ran
 */
export function verdict(clis, report) {
  const judged = clis.map(({ id, version }) => {
    const name = `${id} ${version}`;
    const result = report.testResults.find((one) => one.name.includes(`/${id.replaceAll('_', '-')}-sign-in`));
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
