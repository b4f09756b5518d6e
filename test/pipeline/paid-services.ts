/** Paid services from memory: they remember every request, bill what they accept, and fail as a test tells them to. */
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { expect } from 'vitest';
import type { ErrorCode } from '../../src/base/error-codes.ts';
import { type Retry, TvdbError } from '../../src/base/errors.ts';
import { sha256 } from '../../src/base/hash.ts';
import type { ParsedPage } from '../../src/domain/parsed-page.ts';
import { unit } from '../../src/domain/vector.ts';
import type { EmbedAttempt, EmbedResult, EmbedService } from '../../src/services/embed/port.ts';
import type { ParsePoll, ParseRequest, ParseService } from '../../src/services/parse/port.ts';
import { type VirtualClock, virtualClock } from '../setup/virtual-clock.ts';
import { DIMENSIONS, type HarnessOptions, pipeline } from './harness.ts';

export const PAID_SPACE = `paid/test/${DIMENSIONS}`;

export interface RemoteJob {
  id: string;
  attemptId: string;
  pages: readonly number[];
  createdAt: number;
  cancelled: boolean;
  /** Results fetched. */
  fetched: number;
}

export interface PaidParserOptions {
  /** From create to done. */
  latencyMs?: number;
  /** Until a job is in the list. */
  listDelayMs?: number;
  /** Answers a request; `create` makes the remote job and returns its id. `nth` counts requests from 1. */
  onSubmit?: (create: () => string, nth: number, signal: AbortSignal) => Promise<string>;
  onPoll?: (job: RemoteJob | undefined, nth: number) => ParsePoll | undefined;
  onList?: (nth: number) => void;
  onFetch?: (job: RemoteJob, nth: number) => void;
  /** A page; `reading` counts the parses of this page, from 1. */
  page?: (number: number, reading: number) => ParsedPage;
  onPrepare?: () => void;
}

/** Enough for several chunks a document. */
function longText(number: number): string {
  const sentence = (index: number) =>
    `Sentence ${index} of page ${number} tells of matter ${(number * 31 + index) % 17}.`;
  return `# Part ${number}\n\n${Array.from({ length: 8 }, (_, index) => sentence(index)).join(' ')}`;
}

/** A parse service elsewhere, which costs. */
export function paidParser(clock: { now(): number }, options: PaidParserOptions = {}) {
  const { latencyMs = 0, listDelayMs = 0 } = options;
  const jobs = new Map<string, RemoteJob>();
  /** Attempts whose request arrived, in order. */
  const posts: string[] = [];
  const requests: ParseRequest[] = [];
  let polls = 0;
  let lists = 0;
  let fetches = 0;
  const create = (request: ParseRequest, attemptId: string) => {
    const pages = request.targetPages ?? Array.from({ length: request.pages }, (_, index) => index + 1);
    const id = `pjb-${jobs.size + 1}`;
    jobs.set(id, { id, attemptId, pages, createdAt: clock.now(), cancelled: false, fetched: 0 });
    return id;
  };
  const service: ParseService = {
    origin: 'real',
    parserName: 'paid',
    parserVersion: 'tier@1',
    runsHere: false,
    async prepare(_request, signal) {
      signal.throwIfAborted();
      options.onPrepare?.();
    },
    async submit(request, { attemptId, leaving }, signal) {
      signal.throwIfAborted();
      await leaving?.();
      posts.push(attemptId);
      requests.push(request);
      const { onSubmit = async (make) => make() } = options;
      return { remoteId: await onSubmit(() => create(request, attemptId), posts.length, signal), httpStatus: 200 };
    },
    async poll(remoteId) {
      polls += 1;
      const job = jobs.get(remoteId);
      const told = options.onPoll?.(job, polls);
      if (told !== undefined) return told;
      if (job === undefined) return { state: 'gone' };
      if (job.cancelled) return { state: 'failed', error: problem('E310', 'The parse was cancelled') };
      return { state: clock.now() >= job.createdAt + latencyMs ? 'done' : 'running' };
    },
    async fetchResult(remoteId) {
      fetches += 1;
      const job = jobs.get(remoteId);
      if (job === undefined) throw problem('E311', 'The result is gone');
      options.onFetch?.(job, fetches);
      job.fetched += 1;
      const pages = job.pages.map((number) => {
        const reading = [...jobs.values()].filter((one) => one.pages.includes(number)).indexOf(job) + 1;
        return options.page?.(number, reading) ?? { number, markdown: longText(number) };
      });
      return { pages, creditsBilled: job.pages.length * 3 };
    },
    async findByAttempt(attemptId, { from, to }) {
      lists += 1;
      options.onList?.(lists);
      return [...jobs.values()]
        .filter((job) => job.attemptId === attemptId && clock.now() >= job.createdAt + listDelayMs)
        .filter(({ createdAt }) => createdAt >= from && createdAt <= to)
        .map(({ id }) => id);
    },
    async cancel(remoteId) {
      const job = jobs.get(remoteId);
      if (job !== undefined) job.cancelled = true;
    },
    async health() {
      return { ok: true, latencyMs: 0, detail: '' };
    },
  };
  return Object.assign(service, {
    jobs,
    posts,
    requests,
    create,
    counts: () => ({ polls, lists, fetches }),
  });
}

export type PaidParser = ReturnType<typeof paidParser>;

export interface PaidEmbedderOptions {
  /** Told of a request; throws, answers, or lets the answer be the usual one. `nth` counts from 1. */
  onEmbed?: (
    texts: readonly string[],
    nth: number,
    attempt: EmbedAttempt,
    signal: AbortSignal,
  ) => Promise<EmbedResult | undefined>;
}

/** The vector of a text, of length one. */
export function vectorOf(text: string): Float32Array {
  return unit(Float32Array.from(Buffer.from(sha256(text), 'hex').subarray(0, DIMENSIONS), (byte) => byte + 1));
}

/** An embedding service elsewhere, which costs. */
export function paidEmbedder({ onEmbed }: PaidEmbedderOptions = {}) {
  const requests: { attemptId: string; texts: string[] }[] = [];
  const service: EmbedService = {
    origin: 'real',
    space: { name: PAID_SPACE, model: 'paid', version: '1', dimensions: DIMENSIONS },
    async embed(texts, attempt, signal) {
      signal.throwIfAborted();
      await attempt.leaving?.();
      requests.push({ attemptId: attempt.attemptId, texts: [...texts] });
      const told = await onEmbed?.(texts, requests.length, attempt, signal);
      return told ?? { vectors: texts.map(vectorOf), tokensBilled: attempt.tokens ?? texts.length, model: 'paid' };
    },
    async health() {
      return { ok: true, latencyMs: 0, detail: '' };
    },
  };
  return Object.assign(service, { requests });
}

/** An error of a service. */
export function problem(
  code: ErrorCode,
  message: string,
  { retry = { kind: 'never' }, ...facts }: { retry?: Retry; [fact: string]: unknown } = {},
): TvdbError {
  return new TvdbError(code, { message, retry, facts });
}

/** Nobody knows whether it arrived. */
export const unknown = () => problem('E307', 'It may have arrived, or not', { retry: { kind: 'later' } });
/** Answered 429. */
export const rateLimited = (ms?: number) =>
  problem('E301', 'Too many requests', {
    retry: ms === undefined ? { kind: 'later' } : { kind: 'after', ms },
    http_status: 429,
  });
/** Refused on this machine, before anything left. */
export const localWait = (ms: number) => problem('E301', 'Not our turn', { retry: { kind: 'after', ms } });
/** No answer; nothing was sent, or nothing that costs. */
export const noAnswer = () => problem('E303', 'No answer', { retry: { kind: 'later' }, sent: false });

/** A pipeline in front of paid services, on a clock that stands still until `settle` moves it. */
export function paidLine(
  options: Omit<HarnessOptions, 'real' | 'clock'> & {
    clock?: VirtualClock;
    paid?: PaidParserOptions;
    paidEmbed?: PaidEmbedderOptions;
    paidParser?: PaidParser;
    paidEmbedder?: ReturnType<typeof paidEmbedder>;
    keys?: NonNullable<HarnessOptions['real']>['keys'];
  } = {},
) {
  const { clock = virtualClock(), paid, paidEmbed, keys, settings, ...rest } = options;
  const remote = options.paidParser ?? paidParser(clock, paid);
  const embedding = options.paidEmbedder ?? paidEmbedder(paidEmbed);
  const line = pipeline({
    ...rest,
    clock,
    real: { parser: remote, embedder: embedding, ...(keys && { keys }) },
    settings: {
      POLL_INTERVAL: 1_000,
      RETRY_BASE: 1_000,
      RETRY_CAP: 8_000,
      // A drain goes on until every job has ended or waits for the user.
      DRAIN_WAIT: 1_000_000_000,
      UNKNOWN_OUTCOME_WINDOW: 40_000,
      EMBED_UNKNOWN_WAIT: 20_000,
      EMBED_LINGER: 2_000,
      EMBED_BATCH_SIZE: 100,
      CHUNK_TARGET_TOKENS: 60,
      CHUNK_MAX_TOKENS: 120,
      CHUNK_OVERLAP_TOKENS: 0,
      ...settings,
    },
  });
  const { storage } = line.deps;
  // At once: what takes real time would be slept through by a clock that moves on by itself.
  storage.hasLength = async (uri, bytes) => statSync(storage.pathOf(uri)).size === bytes;
  storage.write = async (uri, text) => {
    mkdirSync(dirname(storage.pathOf(uri)), { recursive: true });
    writeFileSync(storage.pathOf(uri), text);
  };
  return { ...line, clock, remote, embedding };
}

export type PaidLine = ReturnType<typeof paidLine>;

/** Moves time on until the promise is settled. */
export async function settle<T>(clock: VirtualClock, promise: Promise<T>, step = 1_000): Promise<T> {
  let over = false;
  const end = promise.finally(() => {
    over = true;
  });
  end.catch(() => {});
  for (let turn = 0; !over; turn += 1) {
    if (turn > 20_000) throw new Error('this does not end');
    await clock.advance(step);
  }
  return end;
}

/** Lets work go on, moving time by `step` between two looks, until something is so. */
export async function until(clock: VirtualClock, isSo: () => Promise<boolean> | boolean, step = 0): Promise<void> {
  for (let turn = 0; !(await isSo()); turn += 1) {
    if (turn > 20_000) throw new Error('this never comes');
    await clock.advance(step);
  }
}

/**
 * Ends a process as a crash does: it writes nothing any more, and its leases are free. Returns the next process on the same
 * store, in front of the same services.
 */
export function crash(line: PaidLine, seed = 2): PaidLine {
  line.deps.store.write = () => new Promise(() => {});
  line.deps.store.writeRelaxed = line.deps.store.write;
  line.store.sqlite.exec("UPDATE upload_jobs SET lease_owner = 'dead', lease_until = 1 WHERE lease_owner IS NOT NULL");
  const { home, clock, remote, embedding } = line;
  return paidLine({
    home,
    clock,
    seed,
    paidParser: remote,
    paidEmbedder: embedding,
    settings: line.deps.settings,
  });
}

/** Works until every job has ended or waits for the user. */
export async function finish(line: PaidLine, changes: Parameters<PaidLine['drain']>[0] = {}) {
  return settle(line.clock, line.drain(changes));
}

/** The attempts of a store, in the order they were made. */
export async function attemptsOf({ store }: Pick<PaidLine, 'store'>, service?: 'parse' | 'embed') {
  let query = store.db
    .selectFrom('attempts')
    .selectAll()
    .orderBy('rowid' as never);
  if (service !== undefined) query = query.where('service', '=', service);
  return query.execute();
}

/** The codes of the events of all jobs, in order. */
export function codesOf({ events }: Pick<PaidLine, 'events'>): string[] {
  return events.map(({ code }) => code);
}

/** What must hold whatever happened: one request an attempt, and one end an attempt. */
export async function expectSound(line: PaidLine): Promise<void> {
  const attempts = await attemptsOf(line);
  const posts = [...line.remote.posts, ...line.embedding.requests.map(({ attemptId }) => attemptId)];
  expect(new Set(posts).size).toBe(posts.length);
  const known = new Set(attempts.map(({ attempt_id: id }) => id));
  expect(posts.filter((id) => !known.has(id))).toEqual([]);
  // Nothing arrived that the store thinks never left.
  const unsent = new Set(attempts.filter(({ sent }) => sent === null).map(({ attempt_id: id }) => id));
  expect(posts.filter((id) => unsent.has(id))).toEqual([]);
  for (const job of await line.jobs()) {
    if (job.status !== 'complete') continue;
    const own = attempts.filter(
      ({ job_id: id, service, origin }) => id === job.job_id && service === 'parse' && origin === 'real',
    );
    expect(own.filter(({ outcome }) => outcome !== 'ok' && outcome !== 'failed')).toEqual([]);
    const spaces = await line.store.db
      .selectFrom('vectors as v')
      .innerJoin('embedding_spaces as s', 's.space_id', 'v.space_id')
      .select('s.name')
      .where('v.document_id', '=', job.document_id)
      .distinct()
      .execute();
    expect(spaces.length).toBeLessThanOrEqual(1);
  }
}
