/** Proves the ledger: the chain of its rows, and that everything cached is what they add up to. Only reads. */
import type { Db } from '../store/open.ts';
import { type BrokenLink, walkChain } from '../store/spend.ts';
import { foldWindows, type HoldDrift, holdDrift, type WindowFold } from '../store/spend-check.ts';
import { imbalance } from './balance.ts';

export interface FoldCheck {
  /** Nothing drifted. A limit that is passed is no drift. */
  ok: boolean;
  /** Holds that are not what their rows make of them, the first 20. */
  holds: HoldDrift[];
  /** Windows whose totals are not the fold. */
  windows: WindowFold[];
  /** Windows above a hard limit: after an overrun, a lowered limit, or a change of the time zone. */
  over: WindowFold[];
}

/** Adds up the whole ledger and compares it with every hold and every total. */
export async function foldCheck(db: Db): Promise<FoldCheck> {
  const [holds, windows] = [await holdDrift(db), await foldWindows(db)];
  return report(holds, windows);
}

/** Before a command may spend: throws E205 unless the totals that are open at `now` are what their rows add up to. */
export async function requireOpenWindows(db: Db, now: number): Promise<void> {
  const { ok, windows } = await foldOpenWindows(db, now);
  if (!ok) throw imbalance('a total of an open budget is not the sum of its rows', { windows: windows.length });
}

/** The part of it that a command does before it spends: the windows that are open at `now`. */
export async function foldOpenWindows(db: Db, now: number): Promise<FoldCheck> {
  return report([], await foldWindows(db, now));
}

function report(holds: HoldDrift[], all: readonly WindowFold[]): FoldCheck {
  const windows = all.filter(
    ({ stored, folded }) =>
      stored.spent !== folded.spent || stored.held !== folded.held || stored.requests !== folded.requests,
  );
  const over = all.filter(
    ({ stored, measure, hard_limit: limit }) =>
      limit !== null && (measure === 'cost' ? stored.spent + stored.held : stored.requests) > limit,
  );
  return { ok: holds.length === 0 && windows.length === 0, holds, windows, over };
}

/** Walks the hash chain over every row: how many there are, and the first link that does not hold. */
export async function verifyChain(db: Db): Promise<{ ok: boolean; rows: number; broken: BrokenLink | null }> {
  const { rows, broken } = await walkChain(db);
  return { ok: broken === null, rows, broken };
}

/** One thing that does not add up. */
export interface LedgerFinding {
  readonly kind: 'row' | 'hold' | 'total';
  /** Number of the row, id of the attempt, or budget and period. */
  readonly id: string;
  readonly what: string;
}

/** The chain, the holds and the totals in one list, the first 20 of each kind; `over` are budgets above a hard limit. */
export async function ledgerFindings(
  db: Db,
): Promise<{ rows: number; findings: LedgerFinding[]; over: { id: string }[] }> {
  const [chain, fold] = [await verifyChain(db), await foldCheck(db)];
  const idOf = ({ budget_id: budget, period_id: period }: WindowFold) => `${budget} ${period}`;
  const { broken } = chain;
  return {
    rows: chain.rows,
    findings: [
      ...(broken === null ? [] : [{ kind: 'row' as const, id: String(broken.seq), what: broken.what }]),
      ...fold.holds.map(({ attempt_id: id, stored, folded }) => ({
        kind: 'hold' as const,
        id,
        what:
          stored === folded
            ? `${stored}, but with other figures than its rows`
            : `${stored ?? 'missing'}, its rows say ${folded ?? 'nothing'}`,
      })),
      ...fold.windows.map((window) => ({
        kind: 'total' as const,
        id: idOf(window),
        what: `spent ${window.stored.spent}, held ${window.stored.held}, requests ${window.stored.requests}; the rows make ${window.folded.spent}, ${window.folded.held}, ${window.folded.requests}`,
      })),
    ],
    over: fold.over.map((window) => ({ id: idOf(window) })),
  };
}
