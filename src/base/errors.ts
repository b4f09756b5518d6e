/** The one error class: an error carries facts, and one place (`cli/ui/errors.ts`) turns them into text and exit codes. */
import { ERROR_CODES, type ErrorCategory, type ErrorCode } from './error-codes.ts';

/** Whether and when the same thing may be tried again. */
export type Retry = { kind: 'never' } | { kind: 'later' } | { kind: 'after'; ms: number };

export interface ErrorFacts {
  /** What happened, in one sentence with the names involved. */
  message: string;
  /** The cause, only if known. */
  why?: string;
  /** What to do; defaults to the general fix of the code. */
  fix?: string;
  /** Commands that can be pasted. */
  commands?: readonly string[];
  retry?: Retry;
  /** What was charged, in nano-USD; `null` when unknown, absent when no paid service was involved. */
  chargedNanoUsd?: number | null;
  /** Structured values for `--json` and the event log. Never secrets. */
  facts?: Record<string, unknown>;
  cause?: unknown;
}

/** An error that tvdb foresaw. Anything else that is thrown is a bug and becomes E900. */
export class TvdbError extends Error {
  override readonly name = 'TvdbError';
  readonly code: ErrorCode;
  readonly why: string | undefined;
  readonly fix: string;
  readonly commands: readonly string[];
  readonly retry: Retry;
  readonly chargedNanoUsd: number | null | undefined;
  readonly facts: Record<string, unknown>;

  constructor(code: ErrorCode, facts: ErrorFacts) {
    super(facts.message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.code = code;
    this.why = facts.why;
    this.fix = facts.fix ?? ERROR_CODES[code].fix;
    this.commands = facts.commands ?? [];
    this.retry = facts.retry ?? { kind: 'never' };
    this.chargedNanoUsd = facts.chargedNanoUsd;
    this.facts = facts.facts ?? {};
  }

  get category(): ErrorCategory {
    return ERROR_CODES[this.code].category;
  }

  get exit(): number {
    return ERROR_CODES[this.code].exit;
  }

  /** `TVDB-E402`, the form people see. */
  get label(): string {
    return `TVDB-${this.code}`;
  }
}

/** The plain form of an error that is stored with a job (`last_error`) and shown by `status` and `trace`. */
export interface StoredError {
  code: string;
  category: ErrorCategory;
  message: string;
  why: string | null;
  fix: string;
  retryable: boolean;
}

/** Turns anything thrown into a `TvdbError`; what was not foreseen becomes E900 and keeps its cause. */
export function asTvdbError(thrown: unknown): TvdbError {
  if (thrown instanceof TvdbError) return thrown;
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return new TvdbError('E900', { message: 'tvdb hit a bug', why: `unexpected: ${text}`, cause: thrown });
}

/** The storable form of an error. */
export function storedError(error: TvdbError): StoredError {
  return {
    code: error.label,
    category: error.category,
    message: error.message,
    why: error.why ?? null,
    fix: error.fix,
    retryable: error.retry.kind !== 'never',
  };
}
