/** Runs `tvdb` inside the test's process: captured streams, a home of its own, no environment but what the test gives. */
import { EventEmitter } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import type { Ids, Random } from '../../src/base/ids.ts';
import { systemIds } from '../../src/base/ids.ts';
import type { CommandDefinition } from '../../src/cli/command.ts';
import { main } from '../../src/cli/main.ts';
import { PRODUCT, type Product } from '../../src/cli/product.ts';
import { tempDirectory } from './temp.ts';

export interface RunOptions {
  /** A directory that several runs share: home, preferences, data and working directory are below it. Default: a fresh one. */
  home?: string;
  cwd?: string;
  env?: Record<string, string | undefined>;
  /** What can be read from stdin; default nothing. */
  stdin?: string | Uint8Array;
  /** Whether stdout and stderr, or one of them, are terminals, and how large. Default: none is. */
  tty?: boolean | 'stdout' | 'stderr';
  cols?: number;
  rows?: number;
  stdinTty?: boolean;
  clock?: Clock;
  ids?: Ids;
  random?: Random;
  /** Instead of the commands of the product. */
  commands?: readonly CommandDefinition[];
  product?: Partial<Product>;
  /** Emit SIGINT here. */
  signals?: EventEmitter;
  /** Told of every forced exit. */
  onExit?: (code: number) => void;
  /** Told of everything written, as it is written. */
  onOutput?: (stream: 'stdout' | 'stderr', text: string) => void;
}

/** What a run left behind. */
export class Run {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly home: string;

  constructor(code: number, stdout: string, stderr: string, home: string) {
    this.code = code;
    this.stdout = stdout;
    this.stderr = stderr;
    this.home = home;
  }

  /** stdout as one JSON document. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into documents of many shapes
  get json(): any {
    return JSON.parse(this.stdout);
  }
}

class Capture extends Writable {
  text = '';
  readonly isTTY: boolean;
  readonly columns: number | undefined;
  readonly rows: number | undefined;
  readonly #told: (text: string) => void;

  constructor(isTTY: boolean, { cols = 80, rows = 24 }: RunOptions, told: (text: string) => void) {
    super();
    this.isTTY = isTTY;
    this.columns = isTTY ? cols : undefined;
    this.rows = isTTY ? rows : undefined;
    this.#told = told;
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString('utf8');
    this.#told(chunk.toString('utf8'));
    done();
  }
}

/** Runs one command line to its end. */
export async function runTvdb(argv: readonly string[], options: RunOptions = {}): Promise<Run> {
  const home = options.home ?? tempDirectory();
  const cwd = options.cwd ?? join(home, 'work');
  mkdirSync(cwd, { recursive: true });
  const { tty = false } = options;
  const stdout = new Capture(tty === true || tty === 'stdout', options, (text) => options.onOutput?.('stdout', text));
  const stderr = new Capture(tty === true || tty === 'stderr', options, (text) => options.onOutput?.('stderr', text));
  const code = await main(
    argv,
    {
      stdin: Object.assign(Readable.from(options.stdin === undefined ? [] : [options.stdin]), {
        isTTY: options.stdinTty ?? false,
      }),
      stdinIsTty: options.stdinTty ?? false,
      stdout,
      stderr,
      env: {
        HOME: home,
        XDG_CONFIG_HOME: join(home, 'config'),
        XDG_DATA_HOME: join(home, 'data'),
        LANG: 'C.UTF-8',
        TERM: 'xterm-256color',
        ...options.env,
      },
      cwd,
      clock: options.clock ?? systemClock,
      ids: options.ids ?? systemIds,
      random: options.random ?? Math.random,
      signals: options.signals ?? new EventEmitter(),
      exit: (forced) => options.onExit?.(forced),
    },
    { ...PRODUCT, ...(options.commands !== undefined && { commands: options.commands }), ...options.product },
  );
  return new Run(code, stdout.text, stderr.text, home);
}
