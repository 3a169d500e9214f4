/** One configuration, four projects, from fast to slow: `npx vitest run --project unit`. */
import { defineConfig } from 'vitest/config';

const minutes = (n: number): number => n * 60_000;
/** VMs share two cores and one software emulator: never two files at a time. */
const oneAtATime = { fileParallelism: false, maxWorkers: 1, isolate: true, pool: 'forks' as const };

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['packages/*/src/**/*.test.{ts,tsx}', 'tests/support/**/*.test.ts', 'scripts/**/*.test.mjs'],
          exclude: ['**/*.integration.test.mjs', '**/fixtures/**', '**/dist/**', '**/node_modules/**'],
          testTimeout: 15_000,
          hookTimeout: 30_000,
          pool: 'forks',
        },
      },
      {
        test: {
          name: 'integration',
          include: ['tests/integration/**/*.test.ts', 'scripts/**/*.integration.test.mjs'],
          testTimeout: minutes(2),
          hookTimeout: minutes(2),
          ...oneAtATime,
        },
      },
      {
        test: {
          name: 'vm',
          include: ['tests/vm/**/*.test.ts'],
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
