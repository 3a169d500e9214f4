/** One configuration, five projects, from fast to slow: `npx vitest run --project unit`. */
import { basename } from 'node:path';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** On an emulated host it is as many times more: tests/support/patience.ts. */
const minutes = (n: number): number => n * 60_000 * Number(process.env['TEST_PATIENCE'] ?? 1);
/** VMs share two cores and one software emulator: never two files at a time. */
const oneAtATime = { fileParallelism: false, maxWorkers: 1, isolate: true, pool: 'forks' as const };

/** Those that take a minute and more; where nobody has run them yet, vitest begins with the largest files. */
const longest = ['fourth-provider', 'custody', 'nginx', 'desktop-page', 'upgrade-agent'];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLong = ({ moduleId }: TestSpecification): boolean => longest.includes(basename(moduleId, '.test.ts'));
    const sorted = await super.sort(files);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          name: 'unit',
          include: ['packages/*/src/**/*.test.{ts,tsx}', 'tests/support/**/*.test.ts', 'scripts/**/*.test.mjs'],
          exclude: ['**/*.integration.test.mjs', '**/fixtures/**', '**/dist/**', '**/node_modules/**'],
          // `npm test` builds the golden image beside them.
          testTimeout: 30_000,
          hookTimeout: 60_000,
          pool: 'forks',
          maxWorkers: 2,
          // A process and a module graph for each of 140 files cost more than half of what most of them take. Tests own no global.
          isolate: false,
          unstubEnvs: true,
        },
      },
      {
        test: {
          name: 'integration',
          include: ['tests/integration/**/*.test.ts', 'scripts/**/*.integration.test.mjs'],
          testTimeout: minutes(2),
          hookTimeout: minutes(2),
          // Each file has a home, ports and a browser of its own, and most wait for other processes: one for a minute of nginx.
          pool: 'forks',
          maxWorkers: 3,
        },
      },
      {
        test: {
          name: 'vm',
          include: ['tests/vm/**/*.test.ts'],
          // A whole image more, which `npm run soak -- --only image` builds.
          exclude: process.env['TEST_IMAGE'] === 'all' ? [] : ['tests/vm/image-chrome.test.ts'],
          testTimeout: minutes(10),
          hookTimeout: minutes(10),
          ...oneAtATime,
        },
      },
      {
        test: {
          // Only in the host that `npm run test:kvm` makes.
          name: 'kvm',
          include: ['tests/kvm/**/*.test.ts'],
          testTimeout: minutes(10),
          hookTimeout: minutes(10),
          ...oneAtATime,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['tests/e2e/**/*.test.ts'],
          testTimeout: minutes(20),
          hookTimeout: minutes(15),
          ...oneAtATime,
        },
      },
    ],
  },
});
