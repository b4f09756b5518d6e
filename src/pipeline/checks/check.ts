/** What a check of `tvdb doctor` is given and what it answers. */
import type { Clock } from '../../base/clock.ts';
import type { ErrorCode } from '../../base/error-codes.ts';
import { asTvdbError, TvdbError } from '../../base/errors.ts';
import type { Config } from '../../config/load.ts';
import type { Storage } from '../../storage/local.ts';
import type { Store } from '../../store/open.ts';
import { storeError } from '../../store/store-error.ts';

export type CheckStatus = 'ok' | 'warn' | 'fail' | 'skip';

/** A local change that can be undone; done only with `--fix`, after it was listed. */
export interface Repair {
  /** What it will do, as a sentence without a full stop. */
  readonly text: string;
  /** The store that was examined is closed by now; one that is needed is opened again. */
  apply(context: Pick<CheckContext, 'openedStore'>): Promise<void>;
}

export interface Finding {
  readonly status: CheckStatus;
  /** What was found, in one line. */
  readonly detail: string;
  /** Why it matters, or what caused it. */
  readonly why?: string;
  readonly fix?: { readonly text: string; readonly commands: readonly string[] };
  readonly repair?: Repair;
}

export interface CheckContext {
  readonly config: Config;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly envFile: string | undefined;
  /** Version of tvdb. */
  readonly version: string;
  readonly clock: Clock;
  readonly storage: Storage;
  /** Leaves everything out that asks a service. */
  readonly offline: boolean;
  /**
   * The store, opened at the first call; the same error for everybody when it cannot be opened. `null` when there is
   * none yet: looking must not make one.
   */
  openedStore(): Promise<Store | null>;
  /** Aborts when the time of the check is up. */
  readonly signal: AbortSignal;
}

export type Check = (context: CheckContext) => Promise<Finding>;

/** A finding without anything to do. */
export function ok(detail: string): Finding {
  return { status: 'ok', detail };
}

type Fix = NonNullable<Finding['fix']>;

/** What to do about a damaged store. */
export const RESTORE: Fix = { text: 'stop all workers and restore a backup of the home directory', commands: [] };

/** Where the general fix of a code sends people to `tvdb doctor`, which is where they are. */
const FIXES: Partial<Record<ErrorCode, Fix>> = {
  E502: RESTORE,
  E506: { text: 'correct its owner and rights, or restore a backup of the home directory', commands: [] },
};

/** An error as a finding, with its code and what to do. */
export function failed(error: TvdbError): Finding {
  return {
    status: 'fail',
    detail: `${error.message}  (${error.label})`,
    ...(error.why !== undefined && { why: error.why }),
    fix: FIXES[error.code] ?? { text: error.fix, commands: error.commands },
  };
}

/**
 * What a check ran into, in the words of tvdb: damage of the store (E502, E506) and places of `home` that the system
 * refuses (E104) are nobody's bug.
 */
export function foreseen(thrown: unknown, home: string): TvdbError {
  const known = storeError(thrown);
  if (known !== null) return known;
  const { code, syscall, path } = thrown as NodeJS.ErrnoException;
  if (typeof code !== 'string' || typeof syscall !== 'string') return asTvdbError(thrown);
  return new TvdbError('E104', {
    message: `${path ?? home} cannot be used`,
    why: `the system says ${code}`,
    cause: thrown,
  });
}

/** Not looked at, which is not a pass. */
export function skipped(why: string): Finding {
  return { status: 'skip', detail: why };
}

/** Runs `look` on the store, or says why it cannot be looked at; the check `store` tells the reason. */
export async function onStore(
  { openedStore }: CheckContext,
  look: (store: Store) => Promise<Finding>,
): Promise<Finding> {
  const store = await openedStore().catch(() => undefined);
  if (store === undefined) return skipped('the store cannot be opened');
  return store === null ? skipped('there is no store yet') : look(store);
}
