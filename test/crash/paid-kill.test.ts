/** T01 for money: the real binary is killed while it pays, and the simulator's own log says that it paid once. */
import { describe, expect, it } from 'vitest';
import { makeMany } from '../../fixtures/mutate.mjs';
import type { FaultPoint } from '../../src/base/fault.ts';
import { ONLY_WEBHOOK, PAID_POINTS } from './paid-points.ts';
import { judge } from './paid-witness.ts';
import { audit } from './processes.ts';
import { openCase, upload } from './simulator-process.ts';

/** Kills at each point. */
const KILLS = Number(process.env.TVDB_CRASH_KILLS ?? '1');
const DOCUMENTS = 3;

type Results = 'poll' | 'webhook';

/** Points that a run meets more often than it has documents. */
const OFTEN = /^(stage|embed)\./;

/**
 * The first, second, … time a point is reached, as often as it surely is. Half of the points each way in the sample; in
 * the full lane each point both ways in turn.
 */
const CASES = PAID_POINTS.flatMap((point, position) =>
  Array.from({ length: KILLS }, (_, index): [FaultPoint, number, Results] => {
    const nth = OFTEN.test(point) ? index + 1 : (index % DOCUMENTS) + 1;
    const byWebhook = ONLY_WEBHOOK.includes(point) || (position + index) % 2 === 1;
    return [point, nth, byWebhook ? 'webhook' : 'poll'];
  }),
);

const tally = { kills: 0, creates: 0, accepted: 0, duplicates: 0, lost: 0, adopted: 0, absent: 0, embeddedAgain: 0 };

describe.concurrent('T01 a process killed by SIGKILL while it pays', () => {
  it.for(CASES)(
    'at %s (time %i, results by %s) has paid once for each parse when the next run is idle',
    async ([point, nth, results], hooks) => {
      const paid = await openCase(hooks);
      await makeMany(paid.documents, DOCUMENTS, 42);
      const way = ['--results', results];
      const killed = await paid.run(upload(paid.documents, ...way), { TVDB_FAULT: `${point}:${nth}` });
      expect([point, killed.signal, killed.err]).toEqual([point, 'SIGKILL', expect.any(String)]);
      const after = await paid.run(['run', ...way]);
      expect([after.code, after.err]).toEqual([0, expect.any(String)]);
      const { events, ...verdict } = await judge(paid, { embeddedAgain: 1 });
      expect(verdict).toMatchObject({ problems: [], accepted: DOCUMENTS, duplicates: 0, lost: 0 });
      expect(await audit(paid.home)).toMatchObject({ buffered: 0, leased: 0 });
      tally.kills += 1;
      tally.adopted += events.PARSE_ADOPTED ?? 0;
      tally.absent += events.PARSE_ABSENT ?? 0;
      for (const key of ['creates', 'accepted', 'duplicates', 'lost', 'embeddedAgain'] as const)
        tally[key] += verdict[key];
    },
  );
});

describe('T01 all kills together', () => {
  it('lost no document, and the service accepted each exactly once', async ({ annotate }) => {
    await annotate(JSON.stringify(tally));
    const accepted = CASES.length * DOCUMENTS;
    expect(tally).toMatchObject({ kills: CASES.length, accepted, duplicates: 0, lost: 0 });
  });
});

describe.concurrent('an embedding request in the hands of a killed process', () => {
  it.for([
    ['embed.before_batch', 'had not left is sent once', 0, 1],
    ['embed.after_batch', 'was answered is paid for again, and is on record as unknown', 1, 1],
    ['embed.batch_committed', 'brought vectors that were kept is never sent again', 0, 0],
  ] as [FaultPoint, string, number, number][])('that, at %s, %s', async ([point, , again, unknown], hooks) => {
    const paid = await openCase(hooks);
    await makeMany(paid.documents, 1, 43);
    expect((await paid.run(upload(paid.documents), { TVDB_FAULT: point })).signal).toBe('SIGKILL');
    expect((await paid.run(['run'])).code).toBe(0);
    expect(await judge(paid, { embeddedAgain: 1 })).toMatchObject({
      problems: [],
      accepted: 1,
      embeddedAgain: again,
      embedUnknown: unknown,
    });
  });
});
