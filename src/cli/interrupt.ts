/** Ctrl-C and its relatives: the first asks the work to settle and stop, the second ends the process at once. */
import { setMaxListeners } from 'node:events';
import { EXIT } from '../base/error-codes.ts';
import { TvdbError } from '../base/errors.ts';

export interface Interrupt {
  /** Aborts at the first Ctrl-C, SIGTERM, SIGHUP or closed pipe: start nothing new, settle what is under way, return. */
  readonly stopping: AbortSignal;
  /** Aborts at the second Ctrl-C or when time is up: cut connections now. */
  readonly abort: AbortSignal;
}

export type StopCause = 'SIGINT' | 'SIGTERM' | 'SIGHUP' | 'closed-pipe';

export interface InterruptControl extends Interrupt {
  /** What asked to stop, if anything did. */
  cause(): StopCause | null;
  /** Asks to stop, as a signal would. */
  stop(cause: StopCause): void;
  dispose(): void;
}

export interface InterruptHost {
  /** Where signals arrive: `process`, or an emitter in tests. */
  readonly signals: Pick<NodeJS.EventEmitter, 'on' | 'off'>;
  /** Writes to stderr at once. */
  say(text: string): void;
  /** Puts the terminal back and says how to continue; called before the process is ended by force. */
  restore(): void;
  /** Ends the process now. The only forced exit of the tool: whoever presses Ctrl-C twice does not want to wait. */
  exit(code: number): void;
}

/** Time that work under way has to settle after the first signal, and to let go after its connections were cut. */
export const SETTLE_MS = 10_000;
const LET_GO_MS = 1_000;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Listens until `dispose`. Timers are unref'd: they never keep a process alive that has nothing else to do. */
export function listenForInterrupts(host: InterruptHost): InterruptControl {
  const stopping = new AbortController();
  const abort = new AbortController();
  // Every job in flight listens; Node would warn of a leak at the eleventh.
  setMaxListeners(0, stopping.signal, abort.signal);
  let cause: StopCause | null = null;
  let timer: NodeJS.Timeout | undefined;

  const later = (ms: number, action: () => void) => {
    clearTimeout(timer);
    timer = setTimeout(action, ms);
    timer.unref();
  };
  const cut = () => abort.abort(stopped(cause));
  const force = () => {
    cut();
    host.restore();
    host.exit(stopCode(cause) ?? EXIT.ok);
  };
  const stop = (why: StopCause) => {
    if (cause !== null) return;
    cause = why;
    stopping.abort(stopped(why));
    later(SETTLE_MS, () => {
      cut();
      later(LET_GO_MS, force);
    });
  };
  const onSignal = (signal: (typeof SIGNALS)[number]) => {
    if (cause !== null && cause !== 'closed-pipe') {
      if (signal === 'SIGINT') force();
      return;
    }
    cause = null;
    if (signal === 'SIGINT') host.say('stop   finishing what is under way, at most 10 s; Ctrl-C again ends at once\n');
    else host.say(`stop   ${signal} received, finishing what is under way, at most 10 s\n`);
    stop(signal);
  };
  const listeners = SIGNALS.map((signal) => [signal, () => onSignal(signal)] as const);
  for (const [signal, listener] of listeners) host.signals.on(signal, listener);

  return {
    stopping: stopping.signal,
    abort: abort.signal,
    cause: () => cause,
    stop,
    dispose() {
      clearTimeout(timer);
      for (const [signal, listener] of listeners) host.signals.off(signal, listener);
    },
  };
}

/** The exit code of a stop; a closed pipe is nobody's failure and has none. */
export function stopCode(cause: StopCause | null): 130 | 143 | null {
  if (cause === null || cause === 'closed-pipe') return null;
  return cause === 'SIGINT' ? EXIT.interrupted : EXIT.terminated;
}

function stopped(cause: StopCause | null): TvdbError {
  const by = cause === 'SIGINT' ? 'Ctrl-C' : cause === 'closed-pipe' ? 'the reader of its output' : cause;
  return new TvdbError('E012', { message: `Stopped by ${by}`, facts: { cause } });
}
