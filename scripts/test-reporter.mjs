/**
 * A vitest reporter that counts: totals, the names of what failed and the time of each file go as JSON to the file $TEST_COUNTS,
 * each skipped test with its reason to the output.
 */
import { writeFileSync } from 'node:fs';

export default class CountingReporter {
  onTestRunEnd(modules, unhandledErrors) {
    const counts = { passed: 0, failed: unhandledErrors.length, skipped: 0 };
    const files = [];
    const failures = unhandledErrors.map(({ message }) => `an error that no test caught: ${message}`);
    for (const module of modules) {
      const { collectDuration, duration } = module.diagnostic();
      files.push({ name: module.relativeModuleId, ms: Math.round(collectDuration + duration) });
      // A file that could not be loaded has no tests, and must not look like success.
      for (const { message } of module.errors()) {
        counts.failed += 1;
        failures.push(`${module.relativeModuleId}: ${message}`);
      }
      for (const test of module.children.allTests()) {
        const result = test.result();
        const name = `${test.module.relativeModuleId} > ${test.fullName}`;
        if (result.state === 'passed' || result.state === 'failed') counts[result.state] += 1;
        if (result.state === 'failed') failures.push(name);
        else if (result.state !== 'passed') {
          counts.skipped += 1;
          console.log(`skipped: ${name}: ${result.note ?? 'no reason given'}`);
        }
      }
    }
    writeFileSync(process.env.TEST_COUNTS, JSON.stringify({ ...counts, failures, files }));
  }
}
