/** An upload whose documents rest because money was refused: whether that alone keeps it from its end, and how it is told. */
import { iso } from '../../base/clock.ts';
import { TvdbError } from '../../base/errors.ts';
import { shortId } from '../../base/ids.ts';
import { refusedMoney } from '../../store/jobs/money.ts';
import type { JobRow } from '../../store/schema.ts';
import type { World } from '../../world.ts';
import { plural } from '../ui/format.ts';
import { budgetView } from './consent.ts';
import type { SpendMoney } from './foreseen-money.ts';
import type { UploadAnswer } from './upload-result.ts';

/** The limits as they stand after the work, and the jobs that wait for money. */
export async function afterwards(
  money: SpendMoney,
  { runId, maxCost, jobIds }: { runId: string; maxCost: number | undefined; jobIds: readonly string[] },
  world: World,
): Promise<{ money: SpendMoney; refusedMoney: ReadonlySet<string> }> {
  const refused = await refusedMoney(world.store.db, jobIds);
  if (money.budget === null) return { money, refusedMoney: refused };
  const budget = await budgetView(world, { runId, maxCost, now: world.clock.now() });
  return { money: { ...money, budget }, refusedMoney: refused };
}

type Waiting = Pick<UploadAnswer, 'documents' | 'refusedMoney'>;

function jobsThatRest({ documents, refusedMoney = new Set() }: Waiting): JobRow[] {
  return documents.flatMap(({ outcome, status }) =>
    status === 'parked' && outcome !== null && refusedMoney.has(outcome.job.job_id) ? [outcome.job] : [],
  );
}

/** Whether money is what every document that is not at its end waits for; those after a reached cap of the run too. */
export function waitsForMoneyOnly(answer: Waiting): boolean {
  const resting = jobsThatRest(answer);
  const parked = answer.documents.filter(({ status }) => status === 'parked').length;
  return resting.length > 0 && resting.length === parked;
}

/** E201; E202 where the consent of the jobs is used up, E204 where an overrun stops: what waits, until when, how it goes on. */
export function waitsForMoney(answer: Waiting & Pick<UploadAnswer, 'runId'>): TvdbError {
  return moneyWait(jobsThatRest(answer), answer.documents.length, 'document');
}

/** The same for jobs: `of` is how many there are in all, `waiting` how many of them wait. */
export function moneyWait(resting: readonly JobRow[], of: number, noun: string, waiting = resting.length): TvdbError {
  const [first] = resting;
  const consent = resting.filter(({ park_reason: reason }) => reason === 'held_by_user');
  const untils = resting.flatMap(({ run_after: until, park_reason: reason }) =>
    reason === 'budget' && until !== null ? [until] : [],
  );
  const until = untils.length === 0 ? null : Math.max(...untils);
  const onlyConsent = consent.length > 0 && consent.length === resting.length;
  // What waits for a budget and has no time to go on waits for somebody to see an overrun.
  const stopped = resting.filter(({ run_after: at, park_reason: reason }) => reason === 'budget' && at === null);
  const onlyStopped = stopped.length > 0 && stopped.length === resting.length;
  return new TvdbError(onlyStopped ? 'E204' : onlyConsent ? 'E202' : 'E201', {
    message: `${waiting} of ${plural(of, noun)} ${waiting === 1 ? 'waits' : 'wait'} because money was refused`,
    ...(first?.park_note != null && { why: first.park_note }),
    fix: '',
    commands: [
      ...(stopped.length > 0 ? ['tvdb costs acknowledge'] : []),
      ...(onlyConsent || onlyStopped ? [] : ['tvdb run']),
      ...consent.slice(0, 3).map(({ job_id: id }) => `tvdb retry ${shortId(id)} --max-cost <usd>`),
    ],
    chargedNanoUsd: 0,
    facts: { waiting, resets_at: iso(until) },
  });
}
