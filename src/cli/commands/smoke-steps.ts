/** The steps of `smoke` as they are recorded: the first failure skips what follows, cleaning up apart. */

import type { Clock } from '../../base/clock.ts';
import { asTvdbError, TvdbError } from '../../base/errors.ts';
import type { Ui } from '../ui/ui.ts';
import { SMOKE_STEPS } from './smoke-step-names.ts';

export type SmokeStepId = (typeof SMOKE_STEPS)[number];

/** One fact that was compared. */
export interface Assertion {
  readonly name: string;
  readonly expected: string | number | boolean | null;
  readonly actual: string | number | boolean | null;
  readonly ok: boolean;
}

export interface SmokeStep {
  readonly id: SmokeStepId;
  readonly status: 'ok' | 'fail' | 'skip';
  readonly ms: number | null;
  /** What its requests cost. */
  readonly nanoUsd: number | null;
  readonly detail: string;
  readonly assertions: readonly Assertion[];
  readonly error: TvdbError | null;
}

/** What a check found out. */
export interface Finding {
  readonly detail: string;
  readonly assertions?: readonly Assertion[];
  /** Time of the step itself, where it was measured elsewhere. */
  readonly ms?: number | null;
  readonly nanoUsd?: number | null;
}

export interface SmokeSteps {
  readonly list: SmokeStep[];
  /** The first failure. */
  readonly error: () => TvdbError | null;
  /** Runs a check unless one failed before or it is beyond the last wanted; `always` runs it all the same. */
  check(id: SmokeStepId, body: () => Promise<Finding> | Finding, options?: { always?: boolean }): Promise<boolean>;
  /** Records steps that were not come to. */
  skipRest(detail: string): void;
}

/** An assertion of equality. */
export function equal(name: string, expected: Assertion['expected'], actual: Assertion['actual']): Assertion {
  return { name, expected, actual, ok: expected === actual };
}

/** An assertion of something that holds or does not. */
export function holds(name: string, ok: boolean, actual: Assertion['actual'] = ok): Assertion {
  return { name, expected: ok ? actual : true, actual, ok };
}

/** A recorder of steps up to `last`. */
export function recordSteps(last: SmokeStepId, { clock, ui }: { clock: Clock; ui: Pick<Ui, 'event'> }): SmokeSteps {
  const list: SmokeStep[] = [];
  let failure: TvdbError | null = null;
  const add = (step: SmokeStep) => {
    list.push(step);
    const { id, status, ms, detail } = step;
    ui.event('stage', { stage: id, status, ms, detail });
  };
  const skip = (id: SmokeStepId, detail: string) =>
    add({ id, status: 'skip', ms: null, nanoUsd: null, detail, assertions: [], error: null });
  return {
    list,
    error: () => failure,
    async check(id, body, { always = false } = {}) {
      const beyond = SMOKE_STEPS.indexOf(id) > SMOKE_STEPS.indexOf(last);
      if (!always && (failure !== null || beyond)) {
        skip(id, failure === null ? `--only ${last}` : '');
        return false;
      }
      const started = clock.monotonic();
      const ms = () => Math.round(clock.monotonic() - started);
      try {
        const { detail, assertions = [], nanoUsd = null, ...found } = await body();
        const bad = assertions.find(({ ok }) => !ok);
        const error = bad === undefined ? null : refuted(id, bad);
        failure ??= error;
        const status = error === null ? 'ok' : 'fail';
        add({ id, status, ms: found.ms === undefined ? ms() : found.ms, nanoUsd, detail, assertions, error });
        return error === null;
      } catch (thrown) {
        const error = asTvdbError(thrown);
        failure ??= error;
        add({ id, status: 'fail', ms: ms(), nanoUsd: null, detail: error.message, assertions: [], error });
        return false;
      }
    },
    skipRest(detail) {
      for (const id of SMOKE_STEPS) if (!list.some((step) => step.id === id)) skip(id, detail);
    },
  };
}

function refuted(step: SmokeStepId, { name, expected, actual }: Assertion): TvdbError {
  return new TvdbError('E113', {
    message: `Smoke failed at ${step}: ${name} is ${String(actual)}, expected ${String(expected)}`,
    facts: { step, assertion: name, expected, actual },
  });
}
