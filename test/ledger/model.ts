/** A model of the ledger in a few lines, and the commands that compare it with the real one. */
import fc from 'fast-check';
import { expect } from 'vitest';
import type { TvdbError } from '../../src/base/errors.ts';
import type { SpendMoment } from '../../src/ledger/budget-state.ts';
import type { HoldRequest } from '../../src/ledger/hold.ts';
import type { Store, Trx } from '../../src/store/open.ts';
import { NOON, request } from '../setup/ledger.ts';

type Service = SpendMoment['service'];
type Held = { state: string; amount: number; charged: number; provisional: boolean; day: number; service: Service };

/** What must be true of money: sums over a list of holds. Days are UTC; one limit for everything, one for OpenAI. */
export class Model {
  now = NOON;
  limit = 1_000;
  readonly held: Held[] = [];
  unseen = new Set<number>();

  used(day: number, service?: Service): number {
    const sums = this.held.map((one) =>
      one.state === 'settled' ? one.charged : one.state === 'released' ? 0 : one.amount,
    );
    return this.held.reduce(
      (sum, one, at) => (one.day === day && (service ?? one.service) === one.service ? sum + (sums[at] ?? 0) : sum),
      0,
    );
  }

  allows(amount: number, service: Service): boolean {
    const fitsAll = this.used(this.day) + amount <= this.limit;
    return this.unseen.size === 0 && fitsAll && (service !== 'openai' || this.used(this.day, 'openai') + amount <= 300);
  }

  get day(): number {
    return Math.floor(this.now / 86_400_000);
  }
}

/** What is under test; a mutant replaces one of these by a broken version. */
export interface Ledger {
  write<T>(store: Store, work: (trx: Trx) => Promise<T>): Promise<T>;
  hold(trx: Trx, request: HoldRequest): Promise<void>;
  settle(trx: Trx, ending: { attemptId: string; actual: number | null; now: number }): Promise<{ state: string }>;
  release(
    trx: Trx,
    ending: { attemptId: string; because: 'not_sent' | 'not_charged' | 'absent'; now: number },
  ): Promise<{ state: string }>;
  markUnknown(trx: Trx, ending: { attemptId: string; now: number }): Promise<{ state: string }>;
  correct(trx: Trx, ending: { attemptId: string; actual: number | null; now: number }): Promise<{ state: string }>;
  acknowledge(trx: Trx, seen: { attemptId: string; by: string; now: number }): Promise<{ state: string }>;
  twin(trx: Trx, made: { attemptId: string; of: string; now: number }): Promise<unknown>;
  lower(trx: Trx, limit: number): Promise<void>;
}

/** Two connections to one file, and how to open them anew. */
export interface Real {
  ledger: Ledger;
  stores: [Store, Store];
  reopen(): Promise<void>;
}

type Step = fc.AsyncCommand<Model, Real>;
const SERVICES = ['llamaparse', 'openai'] as const;
/** Not a code of tvdb: the process "dies" inside the transaction. */
class Death extends Error {}

/** Any of the holds made so far: the shrinker keeps its meaning. */
const nth = (model: Model, pick: number) => pick % model.held.length;

const step = (
  name: string,
  run: (model: Model, real: Real) => Promise<void>,
  check = (_: Readonly<Model>) => true,
): Step => ({
  check,
  async run(model, real) {
    await run(model, real);
    await compare(model, real.stores[0]);
  },
  toString: () => name,
});
const onHold = (name: string, run: (model: Model, real: Real) => Promise<void>) =>
  step(name, run, (model) => model.held.length > 0);

async function compare(model: Model, { db }: Store): Promise<void> {
  const rows = await db
    .selectFrom('budget_windows as w')
    .innerJoin('budgets as b', 'b.budget_id', 'w.budget_id')
    .select(['b.scope', 'w.from_at', 'w.spent', 'w.held', 'w.requests'])
    .execute();
  const seen = rows.map((row) => [row.scope, row.from_at, row.spent + row.held]);
  const wanted = rows.map((row) => {
    const day = Math.floor((row.from_at ?? 0) / 86_400_000);
    return [row.scope, row.from_at, model.used(day, row.scope === 'service' ? 'openai' : undefined)];
  });
  expect(seen).toEqual(wanted);
}

function record(model: Model, amount: number, service: Service): void {
  model.held.push({ state: 'open', amount, charged: 0, provisional: false, day: model.day, service });
}

const holdOne = (real: Real, model: Model, store: Store, at: number, amount: number, service: Service) =>
  real.ledger.write(store, (trx) => real.ledger.hold(trx, request(String(at), amount, { service, now: model.now })));

const refused = (error: unknown) => {
  if (!['E201', 'E204'].includes((error as TvdbError).code)) throw error;
  return false;
};

/** Where the model and the ledger end the same hold. */
function end(model: Model, at: number, charged: number): void {
  const one = model.held[at];
  if (one === undefined) return;
  Object.assign(one, { state: 'settled', charged });
  if (charged > one.amount) model.unseen.add(at);
}

/** The commands a run is made of. */
export function commands(): fc.Arbitrary<Step>[] {
  const amounts = fc.integer({ min: 1, max: 400 });
  const picks = fc.nat({ max: 1000 });
  const actuals = fc.oneof(fc.constantFrom(null, 0), amounts, fc.integer({ min: 400, max: 5_000 }));
  const services = fc.constantFrom(...SERVICES);
  return [
    fc.tuple(amounts, services).map(([amount, service]) =>
      step(`hold ${amount} ${service}`, async (model, real) => {
        const at = model.held.length;
        const took = await holdOne(real, model, real.stores[0], at, amount, service).then(() => true, refused);
        expect(took).toBe(model.allows(amount, service));
        if (took) record(model, amount, service);
      }),
    ),
    fc.tuple(amounts, amounts).map(([a, b]) =>
      step(`race ${a} ${b}`, async (model, real) => {
        const at = model.held.length;
        const took = await Promise.all(
          ([a, b] as const).map((amount, index) =>
            holdOne(real, model, real.stores[index as 0 | 1], at + index, amount, 'llamaparse').then(
              () => true,
              refused,
            ),
          ),
        );
        const alone = [a, b].map((amount) => model.allows(amount, 'llamaparse'));
        // What was taken fits together, and what was refused does not fit beside it.
        const rest = took.flatMap((one, index) => (one ? [[a, b][index] ?? 0] : []));
        const sum = rest.reduce((total, amount) => total + amount, 0);
        if (sum > 0) expect(model.allows(sum, 'llamaparse')).toBe(true);
        for (const [index, amount] of [a, b].entries())
          if (took[index] === false) expect(alone[index] && model.allows(sum + amount, 'llamaparse')).toBe(false);
        // The model numbers holds without gaps: a name that was refused is used by a later one.
        for (const [index, amount] of [a, b].entries()) {
          if (took[index]) record(model, amount, 'llamaparse');
          else if (index === 0 && took[1]) {
            // Its place is kept by one that was given back at once.
            record(model, amount, 'llamaparse');
            Object.assign(model.held[at] ?? {}, { state: 'none', amount: 0 });
          }
        }
      }),
    ),
    fc.tuple(picks, actuals).map(([pick, actual]) =>
      onHold(`settle ${pick} ${actual}`, async (model, real) => {
        const at = nth(model, pick);
        const one = model.held[at];
        if (one === undefined || one.state === 'none') return;
        const ending = { attemptId: String(at), actual, now: model.now };
        const result = await real.ledger.write(real.stores[0], (trx) => real.ledger.settle(trx, ending));
        const live = one.state === 'open' || one.state === 'unknown';
        expect(result).toMatchObject(live ? { state: 'settled' } : { state: 'already', as: one.state });
        if (!live) return;
        end(model, at, actual === null || actual === 0 ? one.amount : actual);
        one.provisional = actual === null || actual === 0;
      }),
    ),
    fc.tuple(picks, fc.constantFrom('not_sent', 'not_charged', 'absent')).map(([pick, because]) =>
      onHold(`release ${pick} ${because}`, async (model, real) => {
        const at = nth(model, pick);
        const one = model.held[at];
        if (one === undefined || one.state === 'none') return;
        const ending = { attemptId: String(at), because, now: model.now };
        const result = await real.ledger.write(real.stores[0], (trx) => real.ledger.release(trx, ending));
        const may = one.state === 'open' || (one.state === 'unknown' && because !== 'not_sent');
        expect(result).toMatchObject(may ? { state: 'released' } : { state: 'already', as: one.state });
        if (may) one.state = 'released';
      }),
    ),
    picks.map((pick) =>
      onHold(`unknown ${pick}`, async (model, real) => {
        const at = nth(model, pick);
        const one = model.held[at];
        if (one === undefined || one.state === 'none') return;
        const ending = { attemptId: String(at), now: model.now };
        const result = await real.ledger.write(real.stores[0], (trx) => real.ledger.markUnknown(trx, ending));
        expect(result.state).toBe(one.state === 'open' ? 'unknown' : 'already');
        if (one.state === 'open') one.state = 'unknown';
      }),
    ),
    fc.tuple(picks, actuals).map(([pick, actual]) =>
      onHold(`correct ${pick} ${actual}`, async (model, real) => {
        const at = nth(model, pick);
        const one = model.held[at];
        if (one === undefined || one.state === 'none') return;
        const ending = { attemptId: String(at), actual, now: model.now };
        const result = await real.ledger.write(real.stores[0], (trx) => real.ledger.correct(trx, ending));
        const billed = actual !== null && actual !== 0;
        expect(result.state).toBe(!one.provisional ? 'already' : billed ? 'corrected' : 'pending');
        if (!one.provisional || !billed) return;
        end(model, at, actual);
        one.provisional = false;
      }),
    ),
    picks.map((pick) =>
      step(`acknowledge ${pick}`, async (model, real) => {
        const all = [...model.unseen];
        const at = all[pick % Math.max(1, all.length)] ?? 0;
        const ending = { attemptId: String(at), by: 'me', now: model.now };
        const result = await real.ledger.write(real.stores[0], (trx) => real.ledger.acknowledge(trx, ending));
        expect(result.state).toBe(model.unseen.delete(at) ? 'acknowledged' : 'already');
      }),
    ),
    picks.map((pick) =>
      onHold(`twin of ${pick}`, async (model, real) => {
        const of = nth(model, pick);
        const one = model.held[of];
        if (one === undefined || one.state === 'none') return;
        const at = model.held.length;
        const made = { attemptId: String(at), of: String(of), now: model.now };
        await real.ledger.write(real.stores[0], (trx) => real.ledger.twin(trx, made));
        record(model, one.amount, one.service);
        model.unseen.add(at);
      }),
    ),
    fc.integer({ min: 0, max: 1500 }).map((limit) =>
      step(`limit ${limit}`, async (model, real) => {
        await real.ledger.write(real.stores[0], (trx) => real.ledger.lower(trx, limit));
        model.limit = limit;
      }),
    ),
    fc.constantFrom(1, 6, 24, -24).map((hours) =>
      step(`clock ${hours}h`, async (model) => {
        model.now += hours * 3_600_000;
      }),
    ),
    fc.tuple(amounts, fc.boolean()).map(([amount, closes]) =>
      step(`crash with ${amount}${closes ? ', reopen' : ''}`, async (model, real) => {
        const dies = real.ledger.write(real.stores[0], async (trx) => {
          await real.ledger.hold(trx, request('crash', amount, { now: model.now }));
          throw new Death();
        });
        await dies.catch((error: unknown) => error instanceof Death || refused(error));
        if (closes) await real.reopen();
      }),
    ),
  ];
}
