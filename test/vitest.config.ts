import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  root: fileURLToPath(new URL('..', import.meta.url)),
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/crash/**'],
    globalSetup: ['test/setup/build.ts'],
    setupFiles: ['test/setup/network.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Colour decisions are tested; the runner must not make them for us.
    env: { CI: '', NO_COLOR: '', FORCE_COLOR: '' },
  },
});
