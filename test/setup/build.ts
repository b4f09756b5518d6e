/** Builds dist/ once before the tests that start the real binary, unless it is newer than every source. */
import { execFileSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';

function newest(directory: string): number {
  return Math.max(
    0,
    ...readdirSync(directory, { withFileTypes: true, recursive: true })
      .filter((entry) => entry.isFile())
      .map((entry) => statSync(`${entry.parentPath}/${entry.name}`).mtimeMs),
  );
}

export function setup(): void {
  const built = Math.min(
    ...['main', 'pdf-child'].map((name) => statSync(`dist/${name}.cjs`, { throwIfNoEntry: false })?.mtimeMs ?? 0),
  );
  const build = ['.rolldown.config.mjs', '.compile.mjs'].map((name) => statSync(name).mtimeMs);
  if (built <= Math.max(newest('src'), newest('bin'), ...build)) {
    execFileSync(
      process.execPath,
      ['node_modules/rolldown/bin/cli.mjs', '-c', '.rolldown.config.mjs', '--log-level', 'warn'],
      {
        stdio: 'inherit',
      },
    );
  }
}
