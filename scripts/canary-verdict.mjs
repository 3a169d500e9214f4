/** What a run of the sign-ins says about each CLI, and what about its being the newest. Pure. */
import semver from 'semver';

/** @typedef {{id: string, version: string}} Tried of an image's manifest; its suite in `tests/e2e` is named after the id */
/** @typedef {{version: string, node: string | null, missing: string | null}} Latest as image-builder/latest finds it */
/** @typedef {import('@airlock/contract/canary').CanaryReport['clis'][number]} Judged */

/**
 * @param {Tried[]} clis
 * @param {{testResults: {status: string, message?: string, assertionResults: {ancestorTitles: string[], title: string, status: string,
 * meta?: {leftOut?: string[]}, failureMessages?: string[]}[]}[]}} report vitest's, in JSON
 * @param {{latest: Record<string, Latest | null>, node: string}} known by the id; the image's Node
 * @returns {Judged[]}
 */
export function verdict(clis, report, { latest, node }) {
  const ids = clis.map(({ id }) => id);
  return clis.map(({ id, version }) => ({
    id,
    tried: version,
    latest: latest[id]?.version ?? null,
    keptBack: keptBack(version, latest[id] ?? null, node),
    ...signIn(id, ids, report.testResults),
  }));
}

/** What fails outside of every CLI's suite, such as a token found where none may be, counts for each CLI that was tried. */
function signIn(id, ids, files) {
  const tests = files.flatMap(({ assertionResults }) => assertionResults);
  const own = tests.filter(({ ancestorTitles: [suite] }) => suite === id);
  const shared = tests.filter(({ ancestorTitles: [suite] }) => !ids.includes(suite));
  const leftOut = own.flatMap(({ meta }) => meta?.leftOut ?? []);
  const unopened = files.find((file) => file.status === 'failed' && !file.assertionResults.some(isFailed));
  if (unopened) return { signsIn: 'no', failure: `before its first test: ${firstLine(unopened.message)}`, leftOut };
  if (!own.some((test) => test.status === 'passed' || isFailed(test)))
    return { signsIn: 'not_tried', failure: null, leftOut };
  const broken = [...own, ...shared].find(isFailed);
  if (!broken) return { signsIn: 'yes', failure: null, leftOut };
  return { signsIn: 'no', failure: `at "${broken.title}": ${firstLine(broken.failureMessages?.[0])}`, leftOut };
}

const isFailed = ({ status }) => status === 'failed';
const firstLine = (text) => (text ?? '').split('\n', 1)[0];

/** Why `version` is not the latest; null when it is, is newer, or nobody knows. */
function keptBack(version, latest, node) {
  if (latest === null || !semver.lt(version, latest.version)) return null;
  if (latest.missing !== null) return `latest ${latest.version} is not published as ${latest.missing}`;
  if (latest.node === null || semver.satisfies(node, latest.node))
    return `latest is ${latest.version}; npm did not take it: its own settings may hold it back, or it came meanwhile`;
  return `kept back by the image's Node ${semver.major(node)}: latest ${latest.version} asks for Node ${latest.node}`;
}

/** What is reported of CLIs that no image could be made of. @returns {Judged[]} */
export const untried = (latest) =>
  Object.entries(latest).map(([id, found]) => ({
    ...{ id, tried: null, latest: found?.version ?? null, keptBack: null, signsIn: 'not_tried', failure: null },
    leftOut: [],
  }));

/** @param {Judged} judged */
export function lineOf({ id, tried, latest, keptBack: why, signsIn, failure, leftOut }) {
  const newest = why ?? (latest === null ? 'the registry did not tell the latest' : null);
  const result = { yes: 'signs in', no: `FAILS ${failure}`, not_tried: 'not tried' }[signsIn];
  const more =
    leftOut.length === 0 ? '' : `; beside its login it wrote ${leftOut.join(', ')}, which is not handed over`;
  return `${id} ${tried}: ${result}${newest === null ? '' : ` (${newest})`}${more}`;
}

/** True when every sign-in that ran has passed, and one ran. @param {Judged[]} judged */
export const isContent = (judged) =>
  judged.some(({ signsIn }) => signsIn === 'yes') && judged.every(({ signsIn }) => signsIn !== 'no');
