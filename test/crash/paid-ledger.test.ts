/** T18: after faults and kills, the ledger, the bill of the services and the journal of events say the same, to the nano-dollar. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeMany } from '../../fixtures/mutate.mjs';
import { BUILT_IN_PRICES, creditPrice, creditsCost } from '../../src/domain/price-book.ts';
import type { Bill } from '../../src/simulator/bill.ts';
import { openStore } from '../../src/store/open.ts';
import { assertLedger } from '../setup/ledger.ts';
import { openCase, upload } from './simulator-process.ts';

const FULL = Number(process.env.TVDB_CRASH_KILLS ?? '1') > 1;
const DOCUMENTS = FULL ? 100 : 15;
/** One in twenty of the requests that cost goes wrong, half of the time after the work was done. */
const FAULTS = ['500', '500:accepted', 'cut', 'cut-before', 'rate:retry-after=0'].flatMap((fault) => [
  `parse.create=${fault}~0.01`,
  `embeddings=${fault}~0.01`,
]);
/** The kills, spread over the work: between the mark and the request, after its answer, and between two steps. */
const KILLS = ['parse.before_send:4', 'embed.after_batch:3', 'stage.after_commit:25'];

/** Nano-dollars by attempt. */
type Sums = Map<string, number>;

function billed({ jobs, requests }: Bill): Sums {
  const sums: Sums = new Map();
  const add = (id: string | null, nano: number) =>
    sums.set(id ?? 'no attempt', (sums.get(id ?? 'no attempt') ?? 0) + nano);
  for (const { attemptId, credits } of jobs)
    add(attemptId, creditsCost(credits, creditPrice(BUILT_IN_PRICES, Date.now())) ?? 0);
  for (const { attemptId, nanoUsd } of requests) add(attemptId, nanoUsd);
  return sums;
}

/** What the store says: of the ledger, of the events, and which attempts it is in doubt about. */
async function told(home: string) {
  const store = openStore({ home: join(home, 'store') });
  try {
    await assertLedger(store);
    const rows = <T>(query: string) => store.sqlite.prepare(query).all() as T[];
    const ledger: Sums = new Map(
      rows<{ id: string; nano: number }>(
        `SELECT attempt_id AS id, SUM(CASE WHEN kind IN ('settle', 'overrun', 'correction_up') THEN amount
           WHEN kind = 'correction_down' THEN -amount ELSE 0 END) AS nano
         FROM spend GROUP BY attempt_id HAVING nano > 0`,
      ).map(({ id, nano }) => [id, nano]),
    );
    const unknown = rows<{ id: string }>("SELECT attempt_id AS id FROM holds WHERE state = 'unknown'").map(
      ({ id }) => id,
    );
    const open = rows<{ id: string }>("SELECT attempt_id AS id FROM holds WHERE state = 'open'").length;
    const journal: Sums = new Map(
      rows<{ id: string; credits: number | null; tokens: number | null }>(
        `SELECT attempt_id AS id, SUM(json_extract(data, '$.credits')) AS credits, SUM(json_extract(data, '$.tokens')) AS tokens
         FROM job_events WHERE code IN ('PARSE_STORED', 'EMBED_BUFFERED') AND attempt_id IS NOT NULL GROUP BY attempt_id`,
      ).map(({ id, credits, tokens }) => [id, (credits ?? 0) * 1_250_000 + (tokens ?? 0) * 20]),
    );
    const statuses = rows<{ status: string; held: number }>(
      'SELECT status, park_reason IS NOT NULL AND run_after IS NULL AS held FROM upload_jobs',
    );
    return { ledger, journal, unknown, open, statuses };
  } finally {
    await store.close();
  }
}

/** Where two accounts differ; `apart` are left out. */
function differences(one: Sums, other: Sums, apart: ReadonlySet<string>): string[] {
  return [...new Set([...one.keys(), ...other.keys()])]
    .filter((id) => !apart.has(id) && (one.get(id) ?? 0) !== (other.get(id) ?? 0))
    .map((id) => `${id}: ${one.get(id) ?? 0} and ${other.get(id) ?? 0}`);
}

describe(`${DOCUMENTS} documents with one fault in twenty requests and three kills`, () => {
  it('T18 ledger = bill = journal to the nano-dollar, unknowns apart and listed', async (hooks) => {
    const paid = await openCase(hooks, { faults: FAULTS.join(','), seed: 7 });
    await makeMany(paid.documents, DOCUMENTS, 91);
    const killed: (string | null)[] = [];
    killed.push((await paid.run(upload(paid.documents), { TVDB_FAULT: KILLS[0] ?? '' })).signal);
    // What the kill kept from being accepted is accepted now.
    killed.push((await paid.run(upload(paid.documents), { TVDB_FAULT: KILLS[1] ?? '' })).signal);
    killed.push((await paid.run(['run'], { TVDB_FAULT: KILLS[2] ?? '' })).signal);
    expect(killed).toEqual(['SIGKILL', 'SIGKILL', 'SIGKILL']);
    await paid.run(upload(paid.documents));
    // What failed, and what waits for a word because two requests in a row may have been paid for nothing.
    for (let round = 0; round < 3; round += 1) {
      const { statuses } = await told(paid.home);
      if (statuses.every(({ status }) => status === 'complete' || status === 'duplicate')) break;
      await paid.run(['retry', '--failed', '--yes']);
      await paid.run(['run']);
    }
    const bill = billed(await paid.simulator.bill());
    const { ledger, journal, unknown, open, statuses } = await told(paid.home);
    expect(
      statuses.filter(({ status, held }) => status !== 'complete' && status !== 'duplicate' && held === 0),
    ).toEqual([]);
    expect(ledger.size).toBeGreaterThan(DOCUMENTS);
    const apart = new Set(unknown);
    expect(open).toBe(0);
    expect(bill.has('no attempt')).toBe(false);
    expect(differences(ledger, bill, apart)).toEqual([]);
    // An unknown may have been billed or not; what was is not beyond what is held for it. They are few: listed here.
    expect(unknown.length).toBeLessThanOrEqual(KILLS.length * 8 + Math.ceil(DOCUMENTS / 5));
    // The journal of a job that was killed between its vectors and its event tells of them as of a cache.
    const untold = new Set([...ledger.keys()].filter((id) => !journal.has(id)));
    expect(untold.size).toBeLessThanOrEqual(KILLS.length * 8);
    expect(differences(ledger, journal, new Set([...apart, ...untold]))).toEqual([]);
    // And the comparison sees a single nano-dollar.
    const [first = ''] = ledger.keys();
    const off = new Map(ledger).set(first, (ledger.get(first) ?? 0) + 1);
    expect(differences(off, bill, apart)).toHaveLength(1);
  });
});
