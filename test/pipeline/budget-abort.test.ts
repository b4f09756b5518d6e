/** T12: stopped at every await between a hold, its request and its end, by every way a process is stopped. */
import { describe, expect, it } from 'vitest';
import { setBudget } from '../../src/ledger/budget-settings.ts';
import { assertLedger } from '../setup/ledger.ts';
import { virtualClock } from '../setup/virtual-clock.ts';
import { crash, finish, type PaidLine, paidEmbedder, paidLine, paidParser, problem, until } from './paid-services.ts';

/** `abort`: the second Ctrl-C; `stop`: the first, or SIGTERM; `exit`: the process is gone and writes nothing more. */
const WAYS = ['abort', 'stop', 'exit'] as const;
type Way = (typeof WAYS)[number];

/** Does nothing but count the awaits it is called at, until the one at which it stops the process. */
function stopper(way: Way, at: number) {
  const names: string[] = [];
  let gone = false;
  let over = false;
  let line: PaidLine | undefined;
  const forever = new Promise<never>(() => {});
  const reached = async (name: string): Promise<void> => {
    if (over) return;
    if (gone) return forever;
    names.push(name);
    if (names.length !== at || line === undefined) return;
    if (way === 'exit') {
      gone = true;
      return forever;
    }
    if (way === 'abort') line.signals.abort.abort(new Error('stopped'));
    line.signals.stopping.abort(new Error('stopped'));
  };
  return {
    names,
    reached,
    isGone: () => gone,
    /** From here on another process works. */
    end: () => {
      over = true;
    },
    watch: (made: PaidLine) => {
      line = made;
      const { store } = made.deps;
      const { write } = store;
      store.write = async (body) => {
        await reached('before a commit');
        const result = await write.call(store, body);
        await reached('after a commit');
        return result as never;
      };
    },
  };
}

function services(step: (name: string) => Promise<void>) {
  const clock = virtualClock();
  const late = (signal: AbortSignal) => {
    // As the clients do: once it left, an abort does not say that it did not arrive.
    if (signal.aborted) throw problem('E307', 'given up while it was on its way', { retry: { kind: 'later' } });
  };
  const parser = paidParser(clock, {
    onSubmit: async (create, _nth, signal) => {
      await step('the parse arrived');
      late(signal);
      const id = create();
      await step('the parse was made');
      late(signal);
      return id;
    },
  });
  const { prepare, poll, fetchResult } = parser;
  parser.prepare = async (request, signal) => {
    await step('the bytes leave');
    await prepare?.(request, signal);
  };
  parser.poll = async (...args) => {
    await step('a look at the parse');
    return poll(...args);
  };
  parser.fetchResult = async (...args) => {
    await step('the result is fetched');
    return fetchResult(...args);
  };
  const embedder = paidEmbedder({
    onEmbed: async (_texts, _nth, _attempt, signal) => {
      await step('the texts arrived');
      late(signal);
      await step('the vectors are made');
      late(signal);
      return undefined;
    },
  });
  return { clock, parser, embedder };
}

/** Takes a document through, stopped at the `at`th await, and then finished by the next process. */
async function stopped(way: Way, at: number) {
  const watcher = stopper(way, at);
  const { clock, parser, embedder } = services(watcher.reached);
  const line = paidLine({ clock, paidParser: parser, paidEmbedder: embedder });
  const day = { scope: 'all', scope_value: '', span: 'day', measure: 'cost' } as const;
  await line.store.write((trx) => setBudget(trx, { ...day, limit: 100_000_000, hard: true }, [], clock.now()));
  await line.upload('a document', { mode: 'real', money: agreed() });
  watcher.watch(line);
  let over = false;
  const drained = line.drain({ runId: 'first', until: 'drain' }).finally(() => {
    over = true;
  });
  drained.catch(() => {});
  await until(clock, () => over || watcher.isGone(), 1_000);
  // A parse that came to nothing is looked for, is absent, and costs nothing; of texts nobody can tell.
  const made = () => [...parser.jobs.values()].map(({ attemptId }) => attemptId);
  const arrived = () => new Set([...made(), ...embedder.requests.map(({ attemptId }) => attemptId)]);
  const atRest = await line.store.db.selectFrom('holds').selectAll().execute();
  const releasedThen = atRest.filter(({ state, attempt_id: id }) => state === 'released' && arrived().has(id));
  watcher.end();
  const next = crash(line);
  await finish(next, { runId: 'second' });
  const holds = await next.store.db.selectFrom('holds').selectAll().execute();
  return { names: watcher.names, holds, arrived: arrived(), releasedThen, next, parser };
}

function agreed() {
  return { consentNanoUsd: 100_000_000, estimate: { likely: 0, max: 0, priceVersion: null } };
}

type Stopped = Awaited<ReturnType<typeof stopped>>;

/** What is wrong with the money after a stop; empty when nothing is. */
function faultsOf({
  holds,
  arrived,
  releasedThen,
  parser,
}: Pick<Stopped, 'holds' | 'arrived' | 'releasedThen' | 'parser'>) {
  const of = (state: string) => holds.filter((hold) => hold.state === state);
  const held = new Set(holds.map(({ attempt_id: id }) => id));
  return [
    ...releasedThen.map(() => 'given back at once, although its call arrived'),
    ...of('open').map(() => 'left open'),
    ...of('released').flatMap(({ attempt_id: id }) =>
      arrived.has(id) ? ['given back, although its call arrived'] : [],
    ),
    // Only texts on their way may stay unknown; a parse is looked for.
    ...of('unknown').flatMap(({ service }) => (service === 'llamaparse' ? ['a parse that nobody looked for'] : [])),
    ...[...arrived].flatMap((id) => (held.has(id) ? [] : ['arrived without a hold'])),
    ...(parser.jobs.size === 1 ? [] : [`${parser.jobs.size} parses were made`]),
  ];
}

/** Every third await for each way, so that the three together stop at each; all of them in the full lane. */
const STRIDE = Number(process.env.TVDB_CRASH_KILLS ?? '1') > 1 ? 1 : WAYS.length;

describe('T12 a paid call that is stopped', () => {
  it.each(WAYS)(
    'by %s, at every await: no hold leaks, none is given back for a call that arrived',
    async (way) => {
      const { names: all } = await stopped('stop', Number.POSITIVE_INFINITY);
      expect(new Set(all)).toEqual(
        new Set([
          ...['before a commit', 'after a commit', 'the bytes leave', 'the parse arrived', 'the parse was made'],
          ...['a look at the parse', 'the result is fetched', 'the texts arrived', 'the vectors are made'],
        ]),
      );
      const found: [string, ...string[]][] = [];
      for (let at = 1 + (WAYS.indexOf(way) % STRIDE); at <= all.length; at += STRIDE) {
        const { next, ...rest } = await stopped(way, at);
        const statuses = (await next.jobs()).map(({ status }) => status);
        const faults = [...faultsOf(rest), ...statuses.filter((status) => status !== 'complete')];
        if (faults.length > 0) found.push([`${way} at await ${at}, ${all[at - 1]}`, ...faults]);
        await assertLedger(next.store);
        await next.store.close();
      }
      expect(found).toEqual([]);
    },
    240_000,
  );

  it.each([
    ['left open', 'open', 0],
    ['given back, although its call arrived', 'released', 0],
    ['a parse that nobody looked for', 'unknown', 0],
  ] as const)('would be seen: %s', async (fault, state, index) => {
    const whole = await stopped('stop', Number.POSITIVE_INFINITY);
    expect(faultsOf(whole)).toEqual([]);
    const holds = whole.holds.map((hold, nth) => (nth === index ? { ...hold, state } : hold));
    expect(faultsOf({ ...whole, holds })).toEqual([fault]);
    expect(faultsOf({ ...whole, holds: whole.holds.slice(1) })).toEqual(['arrived without a hold']);
  });
});
