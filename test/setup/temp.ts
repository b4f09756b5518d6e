/** A directory of its own for each test that asks, removed afterwards whatever happened. */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

export function tempDirectory(): string {
  const path = mkdtempSync(join(realpathSync(tmpdir()), 'tvdb-test-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true, maxRetries: 3 }));
  return path;
}
