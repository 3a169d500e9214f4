/** `$AIRLOCK_HOME/canary.json`, written whole by each `npm run canary` that tries all CLIs. */
import { readFile } from 'node:fs/promises';
import { CanaryReport } from './canary.js';
import { makePrivateFolder, nullIfAbsent, parseOrNull, replaceFile } from './file.js';
import { homePaths } from './home.js';

/** The last run's report; null when there was none yet, or when the file is not what a run writes. */
export async function readCanaryReport(home: string): Promise<CanaryReport | null> {
  const text = await readFile(homePaths(home).canary, 'utf8').catch(nullIfAbsent);
  return text === null ? null : parseOrNull(text, (json) => CanaryReport.parse(JSON.parse(json)));
}

/** Replaces the last run's report. @throws ZodError for what is no report; then the last one stays */
export async function writeCanaryReport(home: string, report: CanaryReport): Promise<void> {
  const text = `${JSON.stringify(CanaryReport.parse(report), null, 2)}\n`;
  await makePrivateFolder(home);
  await replaceFile(homePaths(home).canary, text);
}
