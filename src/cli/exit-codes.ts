/** The meaning of every exit code, for help. */
import { EXIT } from '../base/error-codes.ts';

/** A process exit code of the one table. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export const EXIT_MEANINGS: Readonly<Record<ExitCode, string>> = {
  [EXIT.ok]: 'done, including "nothing found" and "already processed"',
  [EXIT.failed]: 'the work failed',
  [EXIT.usage]: 'usage: bad flag or value, no file matched, input missing',
  [EXIT.credentials]: 'credentials or configuration missing or rejected',
  [EXIT.budget]: 'budget or consent: refused before spending',
  [EXIT.upstream]: 'a service or the store is down or limiting after retries',
  [EXIT.partial]: 'partial: some documents done, some not',
  [EXIT.pending]: 'still in progress when the wait ended',
  [EXIT.gate]: 'a gate you asked for failed',
  [EXIT.internal]: 'internal error, a bug',
  [EXIT.interrupted]: 'interrupted by Ctrl-C',
  [EXIT.terminated]: 'terminated by a signal',
};

/** Code and meaning of each code a command declares, in the command's own words where it has some. */
export function exitRows(codes: readonly (ExitCode | readonly [ExitCode, string])[]): [ExitCode, string][] {
  return codes.map((row) => (typeof row === 'number' ? [row, EXIT_MEANINGS[row]] : [row[0], row[1]]));
}
