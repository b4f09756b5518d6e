/**
 * Judges a store by what the simulator alone wrote down: its log and its bill. What is judged: every document parsed and
 * billed once, every request sent once, every payment known to the store, nothing left in doubt.
 */
import type { Bill } from '../../src/simulator/bill.ts';
import type { LoggedRequest } from '../../src/simulator/request-log.ts';
import { hashesOf, type StoredAttempt, type StoreSide, storeSide } from './paid-store.ts';
import type { PaidCase } from './simulator-process.ts';

/** $1.25 for 1,000 credits, as the simulator bills. */
const NANO_USD_PER_CREDIT = 1_250_000;

export interface Verdict {
  /** In words; empty when all holds. */
  problems: string[];
  /** POSTs that asked for a parse, and those of them that were accepted. */
  creates: number;
  accepted: number;
  /** Accepted creates beyond one a document. */
  duplicates: number;
  /** Documents without a complete job. */
  lost: number;
  /** Texts of embedding requests that were accepted again. */
  embeddedAgain: number;
  /** Attempts at embeddings that the store calls unknown. */
  embedUnknown: number;
  events: Record<string, number>;
}

export interface Allowed {
  /** Documents that have to be complete; default: those in the directory of the case. */
  documents?: readonly string[];
  /** How often a text may have been embedded in vain: once for each kill or cut. */
  embeddedAgain?: number;
  /** Jobs that the service made of one request on its own account. */
  twins?: number;
}

/** Compares the two sides after everything came to rest. */
export async function judge({ home, documents, simulator }: PaidCase, allowed: Allowed = {}): Promise<Verdict> {
  const wanted = allowed.documents ?? hashesOf(documents);
  const problems: string[] = [];
  const store = await storeSide(home);
  const bill = await simulator.bill();
  const requests = simulator.requests();
  const creates = requests.filter(({ operation }) => operation === 'parse.create');
  const parsed = parsesOf(requests, creates);

  for (const sha of wanted) {
    const made = parsed.get(sha) ?? [];
    if (made.length !== 1) problems.push(`document ${sha.slice(0, 8)}: ${made.length} accepted creates`);
  }
  for (const sha of parsed.keys()) if (!wanted.includes(sha)) problems.push(`a parse of unknown bytes ${sha}`);
  problems.push(...once(creates, 'parse'), ...billed(bill, creates, wanted.length + (allowed.twins ?? 0)));
  const lost = wanted.filter((sha) => !store.jobs.some((job) => job.file_sha256 === sha && job.status === 'complete'));
  for (const sha of lost) problems.push(`document ${sha.slice(0, 8)} is not complete`);
  for (const { status } of store.jobs)
    if (status !== 'complete' && status !== 'duplicate') problems.push(`a job is ${status}`);
  problems.push(...settled(store.attempts, creates, parsed), ...booked(store, bill));
  const embeddings = requests.filter(({ operation }) => operation === 'embeddings');
  const embedded = embeddedAgain(embeddings, store.attempts, allowed.embeddedAgain ?? 0);
  problems.push(...once(embeddings, 'embeddings'), ...embedded.problems);
  const accepted = creates.filter((create) => create.accepted).length;
  return {
    problems,
    creates: creates.length,
    accepted,
    duplicates: Math.max(0, accepted - parsed.size),
    lost: lost.length,
    embeddedAgain: embedded.texts,
    embedUnknown: store.attempts.filter(({ service, outcome }) => service === 'embed' && outcome === 'unknown').length,
    events: store.events,
  };
}

/** Accepted creates by the bytes they are about; a create names an upload, and the upload had the bytes. */
function parsesOf(requests: readonly LoggedRequest[], creates: readonly LoggedRequest[]): Map<string, LoggedRequest[]> {
  const uploads = new Map(
    requests
      .filter(({ operation }) => operation === 'files.create')
      .flatMap(({ made, body }) =>
        made.map((id) => [id, (body as { file?: { sha256?: string } }).file?.sha256 ?? '']),
      ) as [string, string][],
  );
  const parsed = new Map<string, LoggedRequest[]>();
  for (const create of creates.filter(({ accepted }) => accepted)) {
    const sha = uploads.get((create.body as { file_id: string }).file_id) ?? 'unknown';
    parsed.set(sha, [...(parsed.get(sha) ?? []), create]);
  }
  return parsed;
}

/** M5: an attempt id is sent once at most; again only with another key, as 401 proves that nothing was accepted. */
function once(requests: readonly LoggedRequest[], what: string): string[] {
  const times = new Map<string, number>();
  for (const { attemptId, status } of requests)
    if (status !== 401) times.set(attemptId ?? 'none', (times.get(attemptId ?? 'none') ?? 0) + 1);
  return [...times]
    .filter(([id, count]) => count > 1 || id === 'none')
    .map(([id, count]) => `${what}: attempt ${id} was sent ${count} times`);
}

/** One line on the bill for each remote job; every document is read once. */
function billed(bill: Bill, creates: readonly LoggedRequest[], jobs: number): string[] {
  const made = creates.flatMap((create) => create.made).sort();
  const lines = bill.jobs.map(({ jobId }) => jobId).sort();
  return [
    ...(lines.length === jobs ? [] : [`${lines.length} parses on the bill instead of ${jobs}`]),
    ...(JSON.stringify(made) === JSON.stringify(lines) ? [] : ['the bill names other parses than were accepted']),
    ...(bill.jobs.some(({ cacheHit }) => cacheHit) ? ['a parse was asked for that the service had already'] : []),
  ];
}

/** Nothing stays in doubt, nothing paid is forgotten, and every result is that of the document it is stored for. */
function settled(
  attempts: readonly StoredAttempt[],
  creates: readonly LoggedRequest[],
  parsed: ReadonlyMap<string, LoggedRequest[]>,
): string[] {
  const known = new Map(attempts.map((attempt) => [attempt.attempt_id, attempt]));
  const parses = attempts.filter(({ service }) => service === 'parse');
  return [
    ...attempts
      .filter(({ outcome }) => outcome === 'sent' || outcome === 'intent')
      .map(({ service, outcome }) => `an attempt at ${service} is left ${outcome}`),
    ...parses.filter(({ outcome }) => outcome === 'unknown').map(() => 'an attempt at parse is left unknown'),
    ...creates
      .filter(({ accepted, attemptId }) => accepted && known.get(attemptId ?? '')?.outcome !== 'ok')
      .map(({ attemptId }) => `the paid parse of attempt ${attemptId} brought nothing`),
    ...parses
      .filter(({ outcome }) => outcome === 'ok')
      .filter(
        ({ file_sha256: sha, remote_id: id }) => !(parsed.get(sha) ?? []).some(({ made }) => made.includes(id ?? '')),
      )
      .map(({ remote_id: id }) => `${id} is not a parse of its document`),
  ];
}

/**
 * The ledger knows every payment to the nano-dollar, and holds nothing for what was not paid. For an embedding request
 * whose answer was lost the hold stays: nobody knows. Every line of the bill has a hold of its own: of several jobs made of
 * one request each is paid, and the attempt that names it is the one that is charged.
 */
function booked({ attempts, holds, ledgerOk }: StoreSide, bill: Bill): string[] {
  const named = new Map(attempts.map((one) => [one.remote_id, one.attempt_id]));
  const lines = [
    ...bill.jobs.map(({ jobId, attemptId, credits }) => ({
      id: named.get(jobId) ?? (isFirst(jobId, attemptId, bill) ? attemptId : null) ?? `for ${jobId}`,
      sum: credits * NANO_USD_PER_CREDIT,
    })),
    ...bill.requests.map(({ requestId, attemptId, nanoUsd }) => ({
      id: named.get(requestId) ?? attemptId ?? `for ${requestId}`,
      sum: nanoUsd,
    })),
  ];
  const paid = new Map(lines.map(({ id, sum }) => [id, sum]));
  const known = new Map(holds.map((hold) => [hold.attempt_id, hold]));
  const settled = holds.reduce((sum, one) => sum + one.paid, 0);
  return [
    // Two lines may not hide behind one hold. What nobody knows the outcome of is not settled, and may be on the bill.
    ...(holds.some(({ state }) => state === 'unknown') || settled === bill.nanoUsd
      ? []
      : [`${settled} booked in all where the bill says ${bill.nanoUsd}`]),
    ...(ledgerOk ? [] : ['the ledger does not add up']),
    ...[...paid.keys()].filter((id) => !known.has(id)).map((id) => `no hold for attempt ${id}, which is on the bill`),
    ...holds
      .filter(({ service, state }) => state === 'open' || (state === 'unknown' && service === 'llamaparse'))
      .map(({ service, state }) => `a hold at ${service} is left ${state}`),
    ...holds
      .filter(({ attempt_id: id, state, paid: sum }) => state !== 'unknown' && sum !== (paid.get(id) ?? 0))
      .map(
        ({ attempt_id: id, state, paid: sum }) => `${sum} booked (${state}) where the bill says ${paid.get(id) ?? 0}`,
      ),
  ];
}

/** A job no attempt names (yet) is that of the request which made it, unless it is a second one. */
function isFirst(jobId: string, attemptId: string | null, { jobs }: Bill): boolean {
  return jobs.find((one) => one.attemptId === attemptId)?.jobId === jobId;
}

/**
 * A text may be accepted again only for an earlier request with it that the store calls unknown. Documents of the crash
 * tests have no text in common.
 */
function embeddedAgain(
  requests: readonly LoggedRequest[],
  attempts: readonly StoredAttempt[],
  most: number,
): { problems: string[]; texts: number } {
  const outcomes = new Map(attempts.map(({ attempt_id: id, outcome }) => [id, outcome]));
  const problems: string[] = [];
  const byText = new Map<string, string[]>();
  for (const { attemptId, body, accepted } of requests) {
    const outcome = outcomes.get(attemptId ?? '');
    if (accepted && outcome !== 'ok' && outcome !== 'unknown')
      problems.push(`a paid embedding request is ${outcome ?? 'not in the store'}`);
    if (!accepted) continue;
    const { input } = body as { input: string | string[] };
    for (const text of [input].flat()) byText.set(text, [...(byText.get(text) ?? []), outcome ?? 'none']);
  }
  let texts = 0;
  for (const outcomesOfText of byText.values()) {
    const again = outcomesOfText.length - 1;
    texts += again;
    const unknown = outcomesOfText.filter((outcome) => outcome === 'unknown').length;
    if (again > unknown) problems.push(`a text was paid for ${again + 1} times with ${unknown} unknown outcomes`);
    if (again > most) problems.push(`a text was paid for ${again + 1} times, ${most + 1} are allowed`);
  }
  return { problems, texts };
}

/** Parses at the service at once, each from its create to the answer that brought its result. */
export function mostAtATime(requests: readonly LoggedRequest[]): number {
  let now = 0;
  let most = 0;
  for (const { operation, accepted, status } of requests) {
    if (operation === 'parse.create' && accepted) now += 1;
    if (operation === 'parse.result' && status === 200) now -= 1;
    most = Math.max(most, now);
  }
  return most;
}
