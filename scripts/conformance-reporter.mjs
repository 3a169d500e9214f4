/** A vitest reporter: what became of each case of the conformance suite under each driver and network, as JSON in $TEST_CONFORMANCE. */
import { writeFileSync } from 'node:fs';
import { basename } from 'node:path';

export default class ConformanceReporter {
  onTestRunEnd(modules) {
    const results = modules.flatMap((module) =>
      [...module.children.allTests()].map((test) => {
        const { state, note } = test.result();
        const titles = test.fullName.split(' > ');
        const of = /^the driver '?([^']+)'?$/.exec(titles[0])?.[1];
        // A file about one driver says by its name which.
        const subject = basename(module.moduleId, '.test.ts');
        const name = `${subject}: ${titles.slice(of ? 1 : 0).join(': ')}`;
        return { column: of ?? `${subject}/netns`, case: name, state, note: note ?? null };
      }),
    );
    writeFileSync(process.env.TEST_CONFORMANCE, JSON.stringify(results));
  }
}
