/** Decides once, from streams, environment and flags, how this process may talk: colour, animation, questions, format. */
import type { GlobalFlags } from '../command.ts';
import type { Format, StreamFacts } from './ui.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** What is asked of an output stream; `process.stdout` has it, a pipe lacks the terminal's part. */
export interface StreamLike {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
}

export interface Facts {
  readonly out: StreamFacts;
  readonly err: StreamFacts;
  readonly interactive: boolean;
  readonly ci: boolean;
  readonly actions: boolean;
  readonly ascii: boolean;
  readonly accessible: boolean;
  readonly format: Format;
  readonly progress: 'tty' | 'plain' | 'none';
}

/** Settings that steer the display and may come from a configuration file. */
export interface DisplaySettings {
  readonly ascii: boolean;
  readonly accessible: boolean;
  readonly noInput: boolean;
}

/** Narrower terminals report nonsense (a pty of 0 columns hangs ora, tried) or leave no room to animate. */
const ANIMATION_COLS = 20;

/** All decisions, none of which is made anywhere else. */
export function decide(
  streams: { stdin: { readonly isTTY?: boolean }; stdout: StreamLike; stderr: StreamLike },
  env: Env,
  flags: GlobalFlags,
  settings: DisplaySettings,
): Facts {
  const ci = isSet(env.CI);
  const out = streamFacts(streams.stdout, env, flags.color);
  const err = streamFacts(streams.stderr, env, flags.color);
  const format = chooseFormat(flags, out.tty);
  const dumb = env.TERM === 'dumb';
  const structured = format === 'json' || format === 'ndjson';
  return {
    out,
    err,
    ci,
    actions: env.GITHUB_ACTIONS === 'true',
    ascii: settings.ascii || !isUtf8(env),
    accessible: settings.accessible,
    format,
    interactive:
      streams.stdin.isTTY === true && err.tty && !ci && flags.input && !settings.noInput && !structured && !dumb,
    progress: chooseProgress(flags, format, {
      animate: err.tty && (streams.stderr.columns ?? 0) >= ANIMATION_COLS,
      calm: ci || dumb || settings.accessible,
    }),
  };
}

function streamFacts(stream: StreamLike, env: Env, color: GlobalFlags['color']): StreamFacts {
  const tty = stream.isTTY === true;
  const cols = stream.columns ?? 0;
  const rows = stream.rows ?? 0;
  return {
    tty,
    cols: tty && cols > 0 ? cols : 80,
    rows: tty && rows > 0 ? rows : 24,
    color: useColor(tty, env, color),
  };
}

/** `--color` > NO_COLOR > FORCE_COLOR > TERM=dumb > whether it is a terminal. chalk itself ignores NO_COLOR (tried, 5.6.2). */
function useColor(tty: boolean, env: Env, color: GlobalFlags['color']): boolean {
  if (color !== 'auto') return color === 'always';
  if ((env.NO_COLOR ?? '') !== '') return false;
  if ((env.FORCE_COLOR ?? '') !== '') return env.FORCE_COLOR !== '0' && env.FORCE_COLOR !== 'false';
  return env.TERM !== 'dumb' && tty;
}

function chooseFormat(flags: GlobalFlags, tty: boolean): Format {
  if (flags.json) return 'json';
  if (flags.ndjson) return 'ndjson';
  if (flags.quiet) return 'quiet';
  return tty ? 'rich' : 'plain';
}

/** `calm`: a terminal that should not be animated unless it was asked for. */
function chooseProgress(
  flags: GlobalFlags,
  format: Format,
  err: { animate: boolean; calm: boolean },
): Facts['progress'] {
  if (flags.progress === 'tty') return err.animate ? 'tty' : 'plain';
  if (flags.progress !== 'auto') return flags.progress;
  if (format === 'quiet' || format === 'ndjson') return 'none';
  return err.animate && !err.calm ? 'tty' : 'plain';
}

/** Set and not switched off: tools have hung because they compared with the word `true`. */
export function isSet(value: string | undefined): boolean {
  return value !== undefined && !['', '0', 'false', 'no'].includes(value.toLowerCase());
}

function isUtf8(env: Env): boolean {
  const locale = env.LC_ALL || env.LC_CTYPE || env.LANG || '';
  // Windows and macOS terminals are UTF-8 and often set no locale at all.
  return locale === '' ? process.platform !== 'linux' : /utf-?8/i.test(locale);
}
