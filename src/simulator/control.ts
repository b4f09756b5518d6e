/** The control endpoints below `/_control/`: faults, keys, log, bill, reset. */
import type { Biller } from './bill.ts';
import { type Answer, isRecord } from './exchange.ts';
import { FaultSyntaxError } from './fault-syntax.ts';
import type { FaultBook } from './faults.ts';
import type { KeyCheck } from './key-check.ts';
import type { KeyRules } from './options.ts';
import type { LoggedDelivery, RequestLog } from './request-log.ts';

/** The same controls for a program in the same process. */
export interface Control {
  /** Adds rules in the compact syntax behind those that wait. Throws `FaultSyntaxError`. */
  faults(text: string): void;
  /** Forgets the rules that wait. */
  clearFaults(): void;
  /** Replaces the list of accepted or refused keys, whichever is given. */
  keys(rules: KeyRules): void;
  deliveries(): LoggedDelivery[];
  /** Forgets files, jobs, cache, log, bill and faults; keys and latency stay. */
  reset(): void;
}

export interface ControlParts {
  readonly faults: FaultBook;
  readonly keys: KeyCheck;
  readonly log: RequestLog;
  readonly biller: Biller;
  /** Brings every job up to date, so that the bill is. */
  update(): void;
  /** Forgets files, jobs and batches. */
  forget(): void;
}

/** The control of a simulator. */
export function createControl({ faults, keys, log, biller, forget }: ControlParts): Control {
  return {
    faults: (text) => faults.add(text),
    clearFaults: () => faults.clear(),
    keys: (rules) => keys.change(rules),
    deliveries: () => log.deliveries(),
    reset() {
      forget();
      log.clear();
      biller.clear();
      faults.clear();
    },
  };
}

/** Answers `/_control/…`; mistakes get a 400 or 404 with the reason. */
export function answerControl(
  control: Control,
  { faults, log, biller, update }: ControlParts,
  method: string,
  path: string,
  body: Buffer,
): Answer {
  const done = { status: 200, body: { ok: true } };
  switch (`${method} ${path.slice('/_control/'.length)}`) {
    case 'GET faults':
      return { status: 200, body: { waiting: faults.waiting() } };
    case 'POST faults': {
      // Plain text, or JSON `{"faults": "…"}`.
      const text = body.toString('utf8');
      const given = objectOf(text)?.faults ?? text;
      try {
        control.faults(String(given));
        return done;
      } catch (error) {
        if (error instanceof FaultSyntaxError) return { status: 400, body: { error: error.message } };
        throw error;
      }
    }
    case 'DELETE faults':
      control.clearFaults();
      return done;
    case 'POST keys': {
      const rules = keyRules(objectOf(body.toString('utf8')));
      if (rules === undefined)
        return { status: 400, body: { error: 'expected {"accepted": [...], "refused": [...]}' } };
      control.keys(rules);
      return done;
    }
    case 'GET log':
      return { status: 200, body: { requests: log.requests(), deliveries: log.deliveries() } };
    case 'GET bill':
      update();
      return { status: 200, body: biller.bill() };
    case 'POST reset':
      control.reset();
      return done;
    default:
      return { status: 404, body: { error: `no control ${method} ${path}` } };
  }
}

function objectOf(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function keyRules(given: Record<string, unknown> | undefined): KeyRules | undefined {
  if (given === undefined) return undefined;
  const isList = (value: unknown): value is string[] =>
    Array.isArray(value) && value.every((item) => typeof item === 'string');
  const { accepted, refused } = given;
  if ((accepted !== undefined && !isList(accepted)) || (refused !== undefined && !isList(refused))) return undefined;
  return { ...(accepted !== undefined && { accepted }), ...(refused !== undefined && { refused }) };
}
