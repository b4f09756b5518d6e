/** A directory of its own for each test that asks, removed afterwards whatever happened. */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** `hooks` are those of the test, where several run side by side. */
export function tempDirectory(hooks: { onTestFinished: (work: () => void) => void } = { onTestFinished }): string {
  const path = mkdtempSync(join(realpathSync(tmpdir()), 'tvdb-test-'));
  hooks.onTestFinished(() => rmSync(path, { recursive: true, force: true, maxRetries: 3 }));
  return path;
}
