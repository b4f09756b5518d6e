/** All parse jobs of a simulator: making them, driving them along the clock, the 48 hour cache, looking them up. */
import type { Clock } from '../base/clock.ts';
import { canonicalJson, sha256 } from '../base/hash.ts';
import type { Ids } from '../base/ids.ts';
import type { Biller } from './bill.ts';
import { parseDuration } from './fault-syntax.ts';
import type { Fault, FaultBook } from './faults.ts';
import type { Latency } from './options.ts';
import { inventPages } from './page-text.ts';
import { cancel, ended, endOf, type ParseJob, type Reading, settle } from './parse-job.ts';
import { type ParseBody, resolveVersion } from './parse-request.ts';
import type { RequestLog } from './request-log.ts';
import { createCourier } from './webhook-delivery.ts';
import { createWebhookSchedule } from './webhook-schedule.ts';

export interface ParseJobs {
  /** Makes a job for a checked body. Resolves at once unless a webhook has to come before the answer. */
  create(body: ParseBody, file: SourceFile, attemptId: string | null): Promise<ParseJob>;
  /** Up to date; `undefined` for ids that are unknown or gone. */
  get(id: string): ParseJob | undefined;
  /** All that exist, newest first, up to date. */
  all(): ParseJob[];
  cancel(job: ParseJob): void;
  delete(job: ParseJob): void;
  clear(): void;
}

/** What is to be parsed. */
export interface SourceFile {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly sha256: string;
}

export interface ParseJobsParts {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly biller: Biller;
  readonly faults: FaultBook;
  readonly log: RequestLog;
  readonly latency: Latency;
  readonly pagesOf: ((bytes: Uint8Array) => Promise<string[]>) | undefined;
  readonly closing: AbortSignal;
}

const CACHE_MS = 48 * 3_600_000;

/** Options that do not change the result, and so are no part of what the cache is keyed by. */
const NOT_IN_CACHE_KEY = [
  'file_id',
  'source_url',
  'disable_cache',
  'user_metadata',
  'client_name',
  'webhook_configurations',
];

/** Extensions that the simulator takes for readable; LlamaParse judges a file by its name alone. */
export const EXTENSIONS = [
  '.pdf',
  '.docx',
  '.doc',
  '.pptx',
  '.xlsx',
  '.html',
  '.htm',
  '.md',
  '.txt',
  '.png',
  '.jpg',
  '.jpeg',
];

/** No jobs yet. */
export function createParseJobs(parts: ParseJobsParts): ParseJobs {
  const { clock, ids, biller, faults, latency, pagesOf, closing } = parts;
  const jobs = new Map<string, ParseJob>();
  const webhookFaults = new Map<string, ReadonlyMap<string, Fault>>();
  const webhooks = createWebhookSchedule(
    createCourier(parts),
    clock,
    closing,
    (job) => webhookFaults.get(job.id) ?? new Map<string, Fault>(),
  );
  /** Key of content and options to the job that has the result, or failed in a way that sticks. */
  const cache = new Map<string, { at: number; job: ParseJob }>();
  let last = 0;

  function update(job: ParseJob): void {
    const before = job.status;
    settle(job, { monotonic: clock.monotonic(), wall: clock.now() }, biller);
    if (job.status === before) return;
    // A look can find a job two states on: its webhooks still tell both.
    if (before === 'PENDING' && ended(job)) webhooks.reached({ ...job, status: 'RUNNING' });
    webhooks.reached(job);
    // A hit does not make the entry younger: the 48 hours count from the result.
    const sticky = job.status === 'COMPLETED' || job.faults.get('failed')?.params.cached !== undefined;
    if (ended(job) && sticky && !job.cacheHit) cache.set(job.cacheKey, { at: clock.now(), job });
  }

  async function drive(job: ParseJob): Promise<void> {
    // Timers drop fractions of a millisecond: one that fires early would leave the job to the next look at it.
    const until = async (time: number) => {
      do await clock.sleep(Math.max(0, Math.ceil(time - clock.monotonic())), closing);
      while (clock.monotonic() < time);
    };
    await until(job.runsAt);
    update(job);
    const end = endOf(job);
    if (end === undefined) return;
    await until(end);
    update(job);
  }

  function read(job: ParseJob, file: SourceFile): void {
    const known = EXTENSIONS.some((extension) => file.name.toLowerCase().endsWith(extension));
    if (!known) job.reading = { reason: 'UNSUPPORTED_FILE_TYPE' };
    else if (pagesOf === undefined) job.reading = { pages: inventPages(file.bytes) };
    if (job.reading !== undefined || pagesOf === undefined) {
      start(job);
      return;
    }
    void pagesOf(file.bytes)
      .then(
        (pages): Reading => ({ pages }),
        (error: unknown): Reading => ({ reason: reasonOf(error) }),
      )
      .then((reading) => {
        job.reading = reading;
        start(job);
      });
  }

  function start(job: ParseJob): void {
    // Rejects only when the simulator closes.
    void drive(job).catch(() => {});
  }

  return {
    async create(body, file, attemptId) {
      const jobFaults = faults.takeEach('job');
      const version = resolveVersion(body.tier, body.version) ?? body.version;
      const cacheKey = keyOf(body, version, file);
      const found = cache.get(cacheKey);
      const hit =
        !body.disable_cache && found !== undefined && clock.now() - found.at < CACHE_MS ? found.job : undefined;
      const work = latency.parse + (parseDuration(jobFaults.get('slow')?.params.value ?? '0') ?? 0);
      last += 1;
      const job: ParseJob = {
        id: `pjb-${ids.uuid()}`,
        seq: last,
        name: file.name,
        body,
        version,
        attemptId,
        cacheKey,
        cacheHit: hit !== undefined,
        // A failure that was cached happens again.
        faults: hit?.status === 'FAILED' ? new Map([...hit.faults, ...jobFaults]) : jobFaults,
        createdAt: clock.now(),
        updatedAt: clock.now(),
        runsAt: clock.monotonic() + work / 4,
        earliestEnd: clock.monotonic() + work,
        perPage: hit === undefined ? latency.page : 0,
        status: 'PENDING',
        result: [],
        errorMessage: null,
        credits: null,
        usageLooks: 0,
      };
      webhookFaults.set(job.id, faults.takeEach('webhook'));
      jobs.set(job.id, job);
      webhooks.reached(job);
      read(job, file);
      await webhooks.beforeAnswer(job);
      return job;
    },
    get(id) {
      const job = jobs.get(id);
      if (job === undefined || job.faults.has('gone')) return undefined;
      update(job);
      return job;
    },
    all() {
      const all = [...jobs.values()].reverse();
      for (const job of all) update(job);
      return all;
    },
    cancel(job) {
      cancel(job, clock.now(), biller);
      webhooks.reached(job);
    },
    delete: (job) => void jobs.delete(job.id),
    clear() {
      jobs.clear();
      cache.clear();
    },
  };
}

function keyOf(body: ParseBody, version: string, file: SourceFile): string {
  const options = Object.entries(body).filter(([name]) => !NOT_IN_CACHE_KEY.includes(name));
  return sha256(canonicalJson({ ...Object.fromEntries(options), version, content: file.sha256 }));
}

/** A message such as `PDF_IS_PROTECTED` is the reason; anything else is a broken document. */
function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : '';
  return /^[A-Z_]+$/.test(message) ? message : 'PDF_IS_BROKEN';
}
