/** One process of the race for a budget: asks for holds at times of its own, ends some, and prints what it got as JSON. */
import type { TvdbError } from '../../src/base/errors.ts';
import { settle } from '../../src/ledger/end.ts';
import { type HoldRequest, hold } from '../../src/ledger/hold.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import { appendSpend } from '../../src/store/spend.ts';
import { seededRandom } from '../setup/seeded.ts';

export interface Leg {
  home: string;
  timeZone: string;
  /** Wall clock of the first ask, and how far it goes on for each. */
  start: number;
  step: number;
  asks: number;
  largest: number;
}

export interface Race {
  index: number;
  legs: Leg[];
  /** `gated`: the product. `looks_first`: the classic mistake, a look now and then and an unconditional write after it. */
  how: 'gated' | 'looks_first';
}

export interface Result {
  granted: number;
  refused: number;
  /** Errors that are no refusals, by code or text. */
  errors: string[];
}

async function runLeg(leg: Leg, { index, how }: Race, result: Result): Promise<void> {
  const store = openStore({ home: leg.home });
  const random = seededRandom(index * 7919 + leg.start);
  for (let ask = 0; ask < leg.asks; ask++) {
    const amount = 1 + Math.floor(random() * leg.largest);
    const now = Math.floor(leg.start + ask * leg.step);
    const attemptId = `${index}-${ask}`;
    const whole = {
      ...{ attemptId, amount, now, timeZone: leg.timeZone, jobId: null, runId: `run-${index}`, costCenter: null },
      ...{ service: 'llamaparse' as const, units: amount, unitPrice: 1, priceVersion: 'race' },
    };
    try {
      if (how === 'gated') await store.write((trx) => hold(trx, whole));
      else await lookFirst(store, ask, whole);
      result.granted += 1;
      if (how === 'gated' && random() < 0.5)
        await store.write((trx) => settle(trx, { attemptId, actual: amount, now: now + 1 }));
    } catch (error) {
      const { code } = error as TvdbError;
      if (code === 'E201') result.refused += 1;
      else result.errors.push(code ?? String(error));
    }
  }
  await store.close();
}

/** What was left at the last look. */
let left = 0;

/** Looks at what is left at every 25th ask only, and writes in a later transaction without looking again. */
async function lookFirst(store: Store, ask: number, whole: HoldRequest): Promise<void> {
  const { amount, now, units, attemptId, runId } = whole;
  if (ask % 25 === 0) {
    const used = await store.db.selectFrom('budget_windows').selectAll().executeTakeFirst();
    const { limit_value: limit } = await store.db.selectFrom('budgets').select('limit_value').executeTakeFirstOrThrow();
    left = (limit ?? 0) - (used?.spent ?? 0) - (used?.held ?? 0);
  }
  if (amount > left) throw Object.assign(new Error('refused'), { code: 'E201' });
  await store.write(async (trx) => {
    const windows = await trx.selectFrom('budget_windows').select('budget_id').execute();
    // The first ask opens the window.
    if (windows.length === 0) return hold(trx, whole);
    await trx
      .updateTable('budget_windows')
      .set((is) => ({ held: is('held', '+', amount) }))
      .execute();
    await appendSpend(trx, {
      ...{ at: now, held_at: now, kind: 'hold', attempt_id: attemptId, amount, hold_amount: amount, units },
      ...{ job_id: null, run_id: runId, service: 'llamaparse', cost_center: null, unit_price: 1 },
      ...{ price_version: 'race', detail: null },
    });
  });
}

const race = JSON.parse(process.argv[2] ?? '') as Race;
const result: Result = { granted: 0, refused: 0, errors: [] };
for (const leg of race.legs) await runLeg(leg, race, result);
process.stdout.write(JSON.stringify(result));
