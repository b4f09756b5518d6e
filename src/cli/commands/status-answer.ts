/** Gathers what `status` answers: services, queue, jobs. Reads the store only; starts nothing and asks no service. */
import { iso } from '../../base/clock.ts';
import { isFailed, type JobStatus, STEPS, type Step, stepOf } from '../../domain/job-state.ts';
import { SERVICES } from '../../domain/service-mode.ts';
import { requestsOfJobs } from '../../store/attempt-totals.ts';
import { costsOfJobs } from '../../store/job-spend.ts';
import { type ListedJob, listJobs } from '../../store/jobs/find.ts';
import {
  countContent,
  countQueue,
  type ParkedGroup,
  parkedGroups,
  type QueueCount,
  statusesOf,
} from '../../store/queue.ts';
import { deadWorkers, listWorkers } from '../../store/workers.ts';
import type { World } from '../../world.ts';
import { age, plural } from '../ui/format.ts';
import type { StatusWord } from '../ui/text.ts';
import { type JobSurroundings, jobJson } from './job-view.ts';
import { routeReason } from './route-text.ts';
import { serviceWishes } from './service-wishes.ts';

export interface ServiceLine {
  readonly name: 'store' | 'worker' | 'llamaparse' | 'openai';
  readonly title: string;
  readonly word: StatusWord;
  /** What it is or does, then what is to be known about it. */
  readonly state: string;
  readonly detail: string;
  readonly json: Readonly<Record<string, unknown>>;
}

export interface StepCounts {
  readonly step: Step;
  readonly waiting: number;
  readonly active: number;
  readonly parked: number;
  readonly failed: number;
}

export interface QueueState {
  readonly waiting: number;
  readonly active: number;
  readonly parked: number;
  readonly failed: number;
  readonly oldestMs: number | null;
  readonly steps: readonly StepCounts[];
  readonly parkedGroups: readonly ParkedGroup[];
  /** Processes that take jobs. */
  readonly liveWorkers: number;
}

export interface StatusAnswer {
  readonly at: number;
  readonly services: readonly ServiceLine[];
  readonly queue: QueueState;
  readonly jobs: readonly ListedJob[];
  /** There are more jobs than were asked for. */
  readonly more: boolean;
  /** Statuses of all jobs in question, listed or not; of every listed job when none was named. */
  readonly statuses: ReadonlyMap<JobStatus, number>;
  readonly around: JobSurroundings;
}

export interface StatusRequest {
  /** Only these jobs. */
  readonly jobIds: readonly string[] | undefined;
  readonly failedOnly: boolean;
  readonly since: number | undefined;
  readonly limit: number;
}

/** Everything `status` shows, as of now. */
export async function statusAnswer(world: World, request: StatusRequest): Promise<StatusAnswer> {
  const { db } = world.store;
  const at = world.clock.now();
  const dead = await deadWorkers(db);
  const workers = (await listWorkers(db)).filter(
    ({ worker_id: id, heartbeat_at: beat }) => !dead.includes(id) && at - beat <= world.config.settings.LEASE_DURATION,
  );
  const counts = await countQueue(db, at, dead);
  const queue = queueState(counts, await parkedGroups(db, at), { at, liveWorkers: workers.length });
  const listed = await listJobs(db, { ...request, limit: request.limit + 1 });
  const jobs = listed.slice(0, request.limit);
  const statuses = await statusesOf(db, request.jobIds ?? jobs.map(({ job_id: id }) => id));
  const listedIds = jobs.map(({ job_id: id }) => id);
  const costs = await costsOfJobs(db, listedIds);
  const requests = await requestsOfJobs(db, listedIds);
  const lastBeat = workers[0]?.heartbeat_at;
  return {
    at,
    services: [
      await storeLine(world),
      workerLine(queue, lastBeat === undefined ? null : Math.max(0, at - lastBeat)),
      ...(await routeLines(world)),
    ],
    queue,
    jobs,
    more: listed.length > jobs.length,
    statuses,
    around: { now: at, deadWorkers: dead, costs, requests },
  };
}

function queueState(
  counts: readonly QueueCount[],
  parked: readonly ParkedGroup[],
  { at, liveWorkers }: { at: number; liveWorkers: number },
): QueueState {
  const steps = STEPS.map((step) => {
    const here = counts.filter(({ status }) => stepOf(status) === step);
    const sum = (pick: (row: QueueCount) => number) => here.reduce((total, row) => total + pick(row), 0);
    const live = (pick: (row: QueueCount) => number) => sum((row) => (isFailed(row.status) ? 0 : pick(row)));
    return {
      step,
      waiting: live((row) => row.waiting),
      active: live((row) => row.active),
      parked: live((row) => row.parked),
      failed: sum((row) => (isFailed(row.status) ? row.waiting + row.parked + row.active : 0)),
    };
  });
  const total = (key: 'waiting' | 'active' | 'parked' | 'failed') => steps.reduce((sum, step) => sum + step[key], 0);
  const oldest = counts.flatMap(({ status, oldestWaiting }) =>
    isFailed(status) || oldestWaiting === null ? [] : [oldestWaiting],
  );
  return {
    waiting: total('waiting'),
    active: total('active'),
    parked: total('parked'),
    failed: total('failed'),
    oldestMs: oldest.length === 0 ? null : Math.max(0, at - Math.min(...oldest)),
    steps,
    parkedGroups: parked,
    liveWorkers,
  };
}

async function storeLine({ store, config }: World): Promise<ServiceLine> {
  const { documents, chunks } = await countContent(store.db);
  return {
    name: 'store',
    title: 'store',
    word: 'ok',
    state: config.home,
    detail: `${plural(documents, 'document')}, ${plural(chunks, 'chunk')}`,
    json: { home: config.home, documents, chunks },
  };
}

function workerLine({ liveWorkers, active, waiting }: QueueState, sinceBeat: number | null): ServiceLine {
  const json = { running: liveWorkers, jobs_in_hand: active, heartbeat_age_ms: sinceBeat };
  const base = { name: 'worker', title: 'worker', json } as const;
  if (liveWorkers > 0) {
    const detail = sinceBeat === null ? '' : `heartbeat ${age(sinceBeat)} ago`;
    return { ...base, word: 'ok', state: `${liveWorkers} running, ${plural(active, 'job')} in hand`, detail };
  }
  return waiting > 0
    ? { ...base, word: 'warn', state: 'none running', detail: `${waiting} waiting and nothing is consuming the queue` }
    : { ...base, word: 'skip', state: 'none running', detail: 'nothing to do' };
}

async function routeLines({ router, config, clock }: World): Promise<ServiceLine[]> {
  const wishes = serviceWishes([], config.settings);
  const { services, mode: general } = await router.decideNow(config.settings.SERVICE_MODE, wishes);
  const lines: ServiceLine[] = [];
  for (const name of SERVICES) {
    const route = services[name];
    const mode = wishes[name] ?? general;
    const state = route.use === 'real' ? await router.stateOf(name) : undefined;
    const blocked = state?.open === true && state.why !== 'ok' ? state : null;
    const retryAt = blocked?.retryAt ?? route.retryAt ?? null;
    const reason = blocked === null ? routeReason(route, name) : routeReason({ ...route, why: blocked.why }, name);
    lines.push({
      name,
      title: name === 'openai' ? 'OpenAI' : 'LlamaParse',
      word: route.use === null ? 'fail' : route.fallback || blocked !== null ? 'warn' : 'ok',
      state:
        route.use === null
          ? `${mode} -> none`
          : route.use === mode
            ? mode
            : `${mode} -> ${route.use.toUpperCase()}${route.fallback ? ' (fallback)' : ''}`,
      detail: retryAt === null ? reason : `${reason}, next try in ${age(Math.max(0, retryAt - clock.now()))}`,
      json: {
        mode_configured: mode,
        mode_effective: route.use,
        reason: route.why,
        fallback: route.fallback,
        blocked: blocked?.why ?? null,
        since: null,
        retry_at: iso(retryAt),
      },
    });
  }
  return lines;
}

/** `data` of `tvdb.status/v1`. */
export function statusJson({ services, queue, jobs, more, around }: StatusAnswer): Record<string, unknown> {
  const words = services.map(({ word }) => word);
  const overall = words.includes('fail') ? 'fail' : words.includes('warn') || queue.failed > 0 ? 'warn' : 'ok';
  return {
    overall,
    services: services.map(({ name, word, state, detail, json }) => ({ name, status: word, state, detail, ...json })),
    queue: {
      waiting: queue.waiting,
      active: queue.active,
      delayed: queue.parked,
      failed: queue.failed,
      oldest_ms: queue.oldestMs,
      consumers: queue.liveWorkers,
      steps: queue.steps,
      parked: queue.parkedGroups.map(({ reason, jobs: count, until }) => ({ reason, jobs: count, until: iso(until) })),
    },
    jobs: jobs.map((job) => jobJson(job, around)),
    more_jobs: more,
  };
}
