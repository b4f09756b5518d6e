import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { LongestFirst } from './setup/longest-first.ts';

/**
 * They put something in the place of a part of Node (`vi.mock`), which works before anything has loaded it, or look at
 * what the whole process has open.
 */
const ALONE = ['test/services/pdf-pool.test.ts', 'test/storage/full-disk.test.ts', 'test/store/file-system.test.ts'];

export default defineConfig({
  root: fileURLToPath(new URL('..', import.meta.url)),
  test: {
    globalSetup: ['test/setup/build.ts'],
    setupFiles: ['test/setup/shared-process.ts', 'test/setup/network.ts'],
    sequence: { sequencer: LongestFirst },
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Colour decisions are tested; the runner must not make them for us.
    env: { CI: '', NO_COLOR: '', FORCE_COLOR: '' },
    projects: [
      { extends: true, test: { name: 'alone', include: ALONE } },
      {
        extends: true,
        test: {
          name: 'shared',
          include: ['test/**/*.test.ts'],
          exclude: ['test/crash/**', ...ALONE],
          // To start a process and to load and compile every module again for each file took half of the time.
          isolate: false,
        },
      },
    ],
  },
});
