/** The log file: one JSON object a line, each with the correlation id of the job it speaks of, secrets removed. */
import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from './clock.ts';
import { jsonText } from './json-text.ts';
import type { Scrub } from './scrub.ts';

const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** What every entry may carry; ids in full, so that one search finds a whole story. */
export interface LogFields {
  correlation_id?: string | null;
  job_id?: string | null;
  run_id?: string | null;
  [field: string]: unknown;
}

export type Log = (level: LogLevel, event: string, fields?: LogFields) => void;

export interface LogOptions {
  /** File to append to; or a directory, in which one file per UTC day is kept. */
  target: { file: string } | { directory: string };
  level: LogLevel;
  clock: Clock;
  scrub: Scrub;
}

/** Opens the log. A log that cannot be written never stops the work: entries are dropped. */
export function createLog({ target, level, clock, scrub }: LogOptions): Log {
  const least = LOG_LEVELS.indexOf(level);
  let directoryMade = false;
  return (entryLevel, event, fields = {}) => {
    if (LOG_LEVELS.indexOf(entryLevel) < least) return;
    const at = new Date(clock.now()).toISOString();
    const line = scrub(jsonText({ at, level: entryLevel, event, ...fields }));
    try {
      let file: string;
      if ('file' in target) {
        file = target.file;
      } else {
        if (!directoryMade) mkdirSync(target.directory, { recursive: true, mode: 0o700 });
        directoryMade = true;
        file = join(target.directory, `tvdb-${at.slice(0, 10)}.jsonl`);
      }
      appendFileSync(file, `${line}\n`, { mode: 0o600 });
    } catch {
      // A full disk or a read-only directory shows in the store at once, with its own error.
    }
  };
}
