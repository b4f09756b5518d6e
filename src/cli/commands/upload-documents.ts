/** The documents of an upload: accepted one by one, and what is known of each before and after the work. */
import { type StoredError, storedError } from '../../base/errors.ts';
import { isDone, type Taken } from '../../pipeline/intake.ts';
import { outcomeOfJob } from '../../pipeline/job-outcome.ts';
import { discardDocument } from '../../pipeline/staging.ts';
import type { OnEvent } from '../../pipeline/step.ts';
import { type Accepted, acceptDocument, type JobMoney } from '../../pipeline/upload.ts';
import type { RouterDecision } from '../../services/router.ts';
import type { World } from '../../world.ts';
import type { CommandContext } from '../command.ts';
import type { Inputs } from '../inputs.ts';
import { type DocumentResult, documentStatus, failureOfJob } from './upload-result.ts';
import { stopCauseOf } from './upload-stop.ts';

export interface AcceptRequest {
  readonly tags: Readonly<Record<string, string>>;
  readonly costCenter: string | null;
  readonly priority: number;
  readonly force: boolean;
  readonly keepOld: boolean;
  readonly noCache: boolean;
  readonly economy: boolean;
}

/** Events of the acceptance, told again to whoever shows them later. */
export type Told = Parameters<OnEvent>;

/** What was accepted so far, by index of the input, and the events of it. */
export interface Acceptance {
  readonly accepted: Map<number, Accepted>;
  readonly events: Told[];
}

/**
 * Accepts every staged document, in order, until asked to stop; those left then are dropped. Fills `acceptance` as it
 * goes, which holds what is durable also when this throws. A reader of the output that went away takes nothing back:
 * the documents are accepted all the same, unless time is up.
 */
export async function acceptAll(
  taken: readonly Taken[],
  request: AcceptRequest & { runId: string; decision: RouterDecision; money: ReadonlyMap<number, JobMoney> },
  { accepted, events }: Acceptance,
  { pipeline }: World,
  { interrupt }: CommandContext,
): Promise<void> {
  const { stopping, abort } = interrupt;
  for (const [index, one] of taken.entries()) {
    if (one.state !== 'ready') continue;
    if (abort.aborted || (stopping.aborted && stopCauseOf(interrupt) !== 'closed-pipe'))
      await discardDocument(one.document);
    else
      accepted.set(
        index,
        await acceptDocument(
          pipeline,
          one.document,
          { ...request, tags: { ...request.tags }, money: request.money.get(index) },
          (...told) => events.push(told),
        ),
      );
  }
}

const NOTHING = { sha256: null, bytes: null, pages: null, error: null, outcome: null, attached: false, sameAs: null };

/** One result for each input, in order, as of the acceptance. Jobs have their outcome added later. */
export function resultsOf(
  { found }: Inputs,
  taken: readonly Taken[],
  accepted: ReadonlyMap<number, Accepted>,
): PendingResult[] {
  return found.map(({ shown }, index) => {
    const one = taken[index] ?? { state: 'untried' };
    if (one.state === 'refused') return { ...NOTHING, shown, status: 'rejected', error: rejection(one), jobId: null };
    const source = one.state === 'repeat' ? one.of : index;
    const original = taken[source];
    const facts = original?.state === 'ready' ? factsOf(original) : {};
    const job = accepted.get(source);
    if (one.state === 'repeat') {
      return {
        ...NOTHING,
        ...facts,
        shown,
        // Equal to one that was not accepted, it is no duplicate of anything.
        status: job === undefined ? 'not_accepted' : 'duplicate',
        sameAs: found[source]?.shown ?? null,
        jobId: job?.job.job_id ?? null,
      };
    }
    const base = { ...NOTHING, ...facts, shown };
    return job === undefined
      ? { ...base, status: 'not_accepted', jobId: null }
      : { ...base, status: documentStatus(job.job), attached: job.state === 'attached', jobId: job.job.job_id };
  });
}

/** A result that knows its job only by id. */
export interface PendingResult extends DocumentResult {
  readonly jobId: string | null;
}

/** Adds what became of the jobs. With `lenient`, a store that cannot be read leaves results as of the acceptance. */
export async function withOutcomes(
  results: readonly PendingResult[],
  { store, clock }: World,
  { lenient = false } = {},
): Promise<DocumentResult[]> {
  const done: DocumentResult[] = [];
  const outcomeOf = (jobId: string) =>
    outcomeOfJob(store.db, jobId, clock.now()).catch((error: unknown) => {
      if (!lenient) throw error;
    });
  for (const { jobId, ...result } of results) {
    const outcome = (jobId === null ? undefined : await outcomeOf(jobId)) ?? undefined;
    if (outcome === undefined) done.push(result);
    else if (result.sameAs !== null) done.push({ ...result, outcome });
    else done.push({ ...result, outcome, status: documentStatus(outcome.job), error: failureOfJob(outcome.job) });
  }
  return done;
}

/** What an upload would do, for a dry run. */
export async function foreseen(
  inputs: Inputs,
  taken: readonly Taken[],
  { force, decision }: { force: boolean; decision: RouterDecision },
  { pipeline }: World,
): Promise<DocumentResult[]> {
  const planned = resultsOf(inputs, taken, new Map());
  return Promise.all(
    planned.map(async ({ jobId: _none, ...result }, index) => {
      const one = taken[index];
      if (one?.state === 'repeat') return { ...result, status: 'duplicate' as const };
      if (one?.state !== 'ready') return result;
      return {
        ...result,
        status:
          !force && (await isDone(pipeline, one.document, decision)) ? ('duplicate' as const) : ('planned' as const),
      };
    }),
  );
}

function factsOf({ document }: Extract<Taken, { state: 'ready' }>): Pick<DocumentResult, 'sha256' | 'bytes' | 'pages'> {
  return { sha256: document.staged.sha256, bytes: document.staged.bytes, pages: document.pages };
}

function rejection({ error }: Extract<Taken, { state: 'refused' }>): StoredError {
  return storedError(error);
}
