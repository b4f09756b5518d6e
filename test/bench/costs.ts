/** `tvdb costs --today` over a ledger of 100,000 rows, beside `tvdb --version`: spread over a month, and all of one day. */
import { join } from 'node:path';
import { settle } from '../../src/ledger/end.ts';
import { hold } from '../../src/ledger/hold.ts';
import { insertBudget } from '../../src/store/budgets.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import { type Bench, median, ms, ratioLine, timeProcess } from './figures.ts';

const ROUNDS = 11;
const HOLDS = 50_000;
const DAY = 86_400_000;

async function fill(store: Store, from: number, to: number): Promise<void> {
  store.sqlite.pragma('synchronous = OFF');
  const insert = store.sqlite.prepare(
    `INSERT INTO attempts (attempt_id, job_id, service, operation, request_hash, units, started_at, sent, outcome, origin)
     VALUES (?, ?, 'parse', 'parse', 'h', 1, ?, ?, 'ok', 'real')`,
  );
  await store.write((trx) =>
    insertBudget(trx, {
      ...{ scope: 'all', scope_value: '', span: 'day', measure: 'cost', limit_value: 9e14, hard: 1 },
      ...{ source: 'default', user_limit: null, user_hard: null, created_at: 1 },
    }),
  );
  for (let index = 0; index < HOLDS; index += 500) {
    await store.write(async (trx) => {
      for (let next = index; next < index + 500; next++) {
        const now = Math.floor(from + ((to - from) * next) / HOLDS);
        const request = {
          attemptId: `attempt-${next}`,
          jobId: `job-${next >> 1}`,
          runId: `run-${next % 90}`,
          costCenter: null,
        };
        const price = { amount: 3_750_000, units: 1, unitPrice: 3_750_000, priceVersion: 'bench' };
        await hold(trx, { ...request, ...price, service: 'llamaparse', timeZone: 'UTC', now });
        await settle(trx, { attemptId: request.attemptId, actual: 3_750_000, now: now + 1 });
        insert.run(request.attemptId, request.jobId, now, now);
      }
    });
  }
  store.sqlite.exec('ANALYZE');
}

export async function measure({ root, directory }: Bench): Promise<string[]> {
  const binary = join(root, 'bin', 'tvdb.js');
  const now = Date.now();
  const today = now - (now % DAY);
  const lines: string[] = [];
  for (const [name, from] of [
    ['of a month', now - 29 * DAY],
    ['all of today', today],
  ] as const) {
    const home = join(directory, name.replaceAll(' ', '-'));
    const store = openStore({ home: join(home, 'home') });
    await fill(store, from, now);
    await store.close();
    const times = { version: [] as number[], costs: [] as number[] };
    // In turn, so that a drifting machine drifts for both alike; the first of each only warms up.
    for (let round = 0; round <= ROUNDS; round++) {
      const version = timeProcess([binary, '--version'], home);
      const costs = timeProcess([binary, 'costs', '--today'], home);
      if (round === 0) continue;
      times.version.push(version);
      times.costs.push(costs);
    }
    const [costs, version] = [median(times.costs), median(times.version)];
    lines.push(ratioLine(`costs, 100,000 rows ${name} : version`, costs / version, 3, `${ms(costs)} : ${ms(version)}`));
  }
  return lines;
}
