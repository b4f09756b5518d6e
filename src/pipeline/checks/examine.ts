/** Runs the checks of `tvdb doctor`: each with its own time limit, side by side where that is safe, answered in fixed order. */
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { openStorage } from '../../storage/local.ts';
import { openStore, STORE_FILE, type Store } from '../../store/open.ts';
import { CHECK_IDS, type CheckGroup, type CheckId, checkRow, LIMIT_MS } from './catalogue.ts';
import { type Check, type CheckContext, type Finding, failed, foreseen } from './check.ts';
import { RUN } from './checks.ts';

export interface Examined extends Finding {
  readonly id: CheckId;
  readonly group: CheckGroup;
  readonly ms: number;
}

export interface ExamineOptions
  extends Pick<CheckContext, 'config' | 'env' | 'cwd' | 'envFile' | 'version' | 'clock' | 'offline'> {
  /** Only these; empty for all that are not on request. */
  readonly only: readonly CheckId[];
  /** Instead of the limit of each check, in milliseconds. */
  readonly limitMs: number | undefined;
  /** Ends everything. */
  readonly stopping: AbortSignal;
}

/** Ids of the checks to run, in the order of the catalogue. */
function selectChecks(only: readonly CheckId[]): CheckId[] {
  return CHECK_IDS.filter((id) => (only.length > 0 ? only.includes(id) : checkRow(id).onRequest !== true));
}

/** Examines everything that was selected. Never throws for what a check finds or runs into. Opens the store last and closes it. */
export async function examine(
  options: ExamineOptions,
  run: Readonly<Record<CheckId, Check>> = RUN,
): Promise<Examined[]> {
  const opened = storeOnDemand(options);
  const base = { ...options, storage: openStorage(options.config.home), openedStore: opened.get };
  const ids = selectChecks(options.only);
  // Opening the store mends the rights of its file and may bring its schema up to date, so the places are looked at before.
  // One connection runs one statement at a time, so there the checks go one after another.
  const onStore = (id: CheckId) => ['Store', 'Workers'].includes(checkRow(id).group);
  try {
    const found = new Map<CheckId, Examined>();
    const put = async (id: CheckId) => {
      found.set(id, await limited(id, run[id], base, options));
    };
    await Promise.all(ids.filter((id) => !onStore(id)).map(put));
    for (const id of ids.filter(onStore)) await put(id);
    return ids.flatMap((id) => found.get(id) ?? []);
  } finally {
    await opened.close();
  }
}

export interface RepairOutcome {
  readonly id: CheckId;
  readonly text: string;
  /** `null` when it worked. */
  readonly error: string | null;
}

/** Does the repairs of what was found, one by one; one that does not work is an outcome and stops no other. */
export async function mend(
  found: readonly Examined[],
  options: Pick<ExamineOptions, 'config' | 'clock'>,
): Promise<RepairOutcome[]> {
  const opened = storeOnDemand(options);
  const outcomes: RepairOutcome[] = [];
  try {
    for (const { id, repair } of found) {
      if (repair === undefined) continue;
      const error = await repair.apply({ openedStore: opened.get }).then(
        () => null,
        (thrown: unknown) => (thrown instanceof Error ? thrown.message : String(thrown)),
      );
      outcomes.push({ id, text: repair.text, error });
    }
  } finally {
    await opened.close();
  }
  return outcomes;
}

/** One check under its limit; running out of time or throwing is a finding. */
async function limited(
  id: CheckId,
  check: Check,
  base: Omit<CheckContext, 'signal'>,
  { limitMs, clock, stopping }: ExamineOptions,
): Promise<Examined> {
  const { group, limitMs: own = LIMIT_MS } = checkRow(id);
  const limit = limitMs ?? own;
  const started = clock.monotonic();
  const over = new AbortController();
  const cut = new AbortController();
  const timeUp: Promise<Finding> = clock.sleep(limit, AbortSignal.any([over.signal, stopping])).then(
    () => ({
      status: 'fail',
      detail: `no answer within ${limit} ms`,
      fix: { text: 'give it more time', commands: [`tvdb doctor ${id} --timeout ${Math.ceil(limit / 1000) * 4}s`] },
    }),
    () => ({ status: 'skip', detail: 'stopped' }),
  );
  const answer = check({ ...base, signal: cut.signal }).catch(
    (thrown: unknown): Finding => failed(foreseen(thrown, base.config.home)),
  );
  const finding = await Promise.race([answer, timeUp]);
  over.abort();
  cut.abort();
  // A check that lost the race is not waited for: what does not answer may never do so. What it finds no longer counts.
  return { id, group, ms: Math.round(clock.monotonic() - started), ...finding };
}

function storeOnDemand({ config: { home }, clock }: Pick<ExamineOptions, 'config' | 'clock'>) {
  let opening: Promise<Store | null> | undefined;
  const open = async (): Promise<Store | null> => {
    if (lstatSync(join(home, STORE_FILE), { throwIfNoEntry: false }) === undefined) return null;
    return openStore({ home, clock });
  };
  return {
    get: () => {
      opening ??= open();
      return opening;
    },
    close: async () => void (await (await opening?.catch(() => null))?.close()),
  };
}
