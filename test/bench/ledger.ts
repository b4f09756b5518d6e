/** What a hold costs beside a bare transaction, and what it costs to prove a ledger of 100,000 rows. */
import { join } from 'node:path';
import { settle } from '../../src/ledger/end.ts';
import { hold } from '../../src/ledger/hold.ts';
import { foldCheck, foldOpenWindows, verifyChain } from '../../src/ledger/verify.ts';
import { insertBudget } from '../../src/store/budgets.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import { type Bench, median, ms, ratioLine } from './figures.ts';

const ROUNDS = 400;
const ROWS = 100_000;
const START = Date.UTC(2026, 10, 1);

const requestOf = (index: number, now: number) => ({
  ...{
    attemptId: `attempt-${index}`,
    jobId: `job-${index}`,
    runId: `run-${Math.floor(index / 500)}`,
    costCenter: null,
  },
  ...{ service: 'llamaparse' as const, amount: 3_750_000, units: 1, unitPrice: 3_750_000, priceVersion: 'bench' },
  ...{ timeZone: 'Europe/Berlin', now },
});

async function budgets(store: Store): Promise<void> {
  await store.write(async (trx) => {
    const row = { scope_value: '', measure: 'cost' as const, hard: 1, source: 'variable' as const };
    const rest = { user_limit: null, user_hard: null, created_at: 1, limit_value: 900_000_000_000_000 };
    for (const span of ['day', 'hour', 'month'] as const)
      await insertBudget(trx, { scope: 'all', span, ...row, ...rest });
    await insertBudget(trx, { scope: 'run', span: 'run', ...row, ...rest });
  });
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

export async function measure({ directory }: Bench): Promise<string[]> {
  const store = openStore({ home: join(directory, 'holds') });
  // One budget, as by default; then four.
  const lines: string[] = [];
  for (const count of [1, 4]) {
    if (count === 4) await budgets(store);
    else
      await store.write((trx) =>
        insertBudget(trx, {
          ...{ scope: 'service', scope_value: 'llamaparse', span: 'day', measure: 'cost', limit_value: 9e14, hard: 1 },
          ...{ source: 'variable', user_limit: null, user_hard: null, created_at: 1 },
        }),
      );
    const bare: number[] = [];
    const held: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const key = `${count}-${round}`;
      const meta = { key, value: 'x'.repeat(300) };
      bare.push(await timed(() => store.write((trx) => trx.insertInto('meta').values(meta).execute())));
      const request = { ...requestOf(round, START + round), attemptId: key };
      held.push(await timed(() => store.write((trx) => hold(trx, request))));
    }
    const name = `hold (${count === 1 ? '1 budget' : '5 budgets'}) : bare transaction`;
    lines.push(
      ratioLine(
        name,
        median(held) / median(bare),
        1.5,
        `${ms(median(held))} : ${ms(median(bare))}   median of ${ROUNDS}`,
      ),
    );
  }
  await store.close();

  const large = openStore({ home: join(directory, 'fold') });
  large.sqlite.pragma('synchronous = OFF');
  await budgets(large);
  const gap = (29 * 86_400_000) / (ROWS / 2);
  for (let index = 0; index < ROWS / 2; index += 500) {
    await large.write(async (trx) => {
      for (let next = index; next < index + 500; next++) {
        const now = Math.floor(START + next * gap);
        await hold(trx, requestOf(next, now));
        await settle(trx, { attemptId: `attempt-${next}`, actual: 3_000_000, now: now + 1 });
      }
    });
  }
  const scan = large.sqlite.prepare('SELECT SUM(length(hash) + amount) FROM spend');
  const base = median(await Promise.all([0, 1, 2].map(() => timed(async () => scan.get()))));
  const all = await timed(() => foldCheck(large.db));
  const open = await timed(() => foldOpenWindows(large.db, START + 29 * 86_400_000));
  const chain = await timed(() => verifyChain(large.db));
  lines.push(
    ratioLine('fold of 100,000 rows : one scan', all / base, 60, `${ms(all)} : ${ms(base)}`),
    ratioLine('fold of open windows : one scan', open / base, 20, `${ms(open)} : ${ms(base)}`),
    ratioLine('chain of 100,000 rows : one scan', chain / base, 100, `${ms(chain)} : ${ms(base)}`),
  );
  await large.close();
  return lines;
}
