/** The report file of a bug: enough to find it, with every known secret removed. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { iso } from '../base/clock.ts';
import { TvdbError } from '../base/errors.ts';
import type { Scrub } from '../base/scrub.ts';
import { VERSION } from './version.ts';

export interface Crash {
  readonly error: TvdbError;
  /** Name of the command that was running; empty before one was chosen. */
  readonly command: string;
  readonly argv: readonly string[];
  readonly at: number;
  /** Makes the file's name unique. */
  readonly id: string;
  /** The home directory of the tool; the report goes to `crash/` in it. */
  readonly home: string;
  readonly scrub: Scrub;
}

/** Writes the report and returns the error as people should see it: with the file's name, or why there is none. */
export function reportCrash(crash: Crash): TvdbError {
  const { error, command } = crash;
  const file = join(crash.home, 'crash', `${crash.id}.txt`);
  let where = `report file (keys removed): ${file}`;
  try {
    mkdirSync(join(crash.home, 'crash'), { recursive: true, mode: 0o700 });
    writeFileSync(file, crash.scrub(reportText(crash)), { mode: 0o600 });
  } catch (problem) {
    where = `no report file could be written: ${problem instanceof Error ? problem.message : String(problem)}`;
  }
  return new TvdbError('E900', {
    message: command === '' ? error.message : `tvdb hit a bug in \`tvdb ${command}\``,
    ...(error.why !== undefined && { why: error.why }),
    fix: `Report it if it happens again; ${where}`,
    ...(error.chargedNanoUsd !== undefined && { chargedNanoUsd: error.chargedNanoUsd }),
    facts: { ...error.facts, report_file: file },
    cause: error.cause ?? error,
  });
}

function reportText({ error, argv, at }: Crash): string {
  const stacks: string[] = [];
  for (let one: unknown = error; one instanceof Error && stacks.length < 10; one = one.cause)
    stacks.push(one.stack ?? String(one));
  return [
    `tvdb ${VERSION}   node ${process.version}   ${process.platform} ${process.arch}   ${iso(at)}`,
    `command line: ${JSON.stringify(argv)}`,
    '',
    stacks.join('\ncaused by\n'),
    '',
  ].join('\n');
}
