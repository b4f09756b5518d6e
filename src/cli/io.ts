/** Everything of the process that `main` touches, so that tests can run it inside their own process. */
import { isatty } from 'node:tty';
import { type Clock, systemClock } from '../base/clock.ts';
import { TvdbError } from '../base/errors.ts';
import { type Ids, type Random, systemIds } from '../base/ids.ts';

export interface Io {
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly stdinIsTty: boolean;
  readonly stdout: NodeJS.WritableStream & {
    readonly isTTY?: boolean;
    readonly columns?: number;
    readonly rows?: number;
  };
  readonly stderr: NodeJS.WritableStream & {
    readonly isTTY?: boolean;
    readonly columns?: number;
    readonly rows?: number;
  };
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Throws E111 when the working directory has been deleted. */
  readonly cwd: string;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly random: Random;
  /** Emits SIGINT, SIGTERM, SIGHUP and uncaughtException. */
  readonly signals: Pick<NodeJS.EventEmitter, 'on' | 'off'>;
  /** Ends the process at once; only for the second Ctrl-C and work that does not let go. */
  exit(code: number): void;
}

/** The real process. */
export function processIo(): Io {
  const env = { ...process.env };
  // Node prints a warning of its own when it finds both; NO_COLOR wins here as it does in the screen.
  if ((env.NO_COLOR ?? '') !== '') delete process.env.FORCE_COLOR;
  return {
    // Touching process.stdin opens it; most commands never read it.
    get stdin() {
      return process.stdin;
    },
    stdinIsTty: isatty(0),
    stdout: process.stdout,
    stderr: process.stderr,
    env,
    get cwd() {
      return workingDirectory();
    },
    clock: systemClock,
    ids: systemIds,
    random: Math.random,
    signals: process,
    exit: (code) => process.exit(code),
  };
}

function workingDirectory(): string {
  try {
    return process.cwd();
  } catch (error) {
    throw new TvdbError('E111', {
      message: 'The working directory no longer exists',
      why: 'it was deleted or moved after the shell went into it',
      cause: error,
    });
  }
}
