import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/** The slower lane: real processes, real SIGKILL. One kill a fault point; TVDB_CRASH_KILLS=5 for the full lane. */
export default defineConfig({
  root: fileURLToPath(new URL('..', import.meta.url)),
  test: {
    include: ['test/crash/**/*.test.ts'],
    globalSetup: ['test/setup/build.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 600_000,
    env: { CI: '', NO_COLOR: '', FORCE_COLOR: '' },
  },
});
