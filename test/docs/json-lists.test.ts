import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type ErrorCategory, EXIT } from '../../src/base/error-codes.ts';
import type { FallbackOutcome } from '../../src/cli/commands/retry-view.ts';
import { SMOKE_STEPS } from '../../src/cli/commands/smoke-step-names.ts';
import { DOCUMENT_STATUSES } from '../../src/cli/commands/upload-result.ts';
import type { SkipReason } from '../../src/cli/input-walk.ts';
import type { StopCause } from '../../src/cli/interrupt.ts';
import type { StatusWord } from '../../src/cli/ui/text.ts';
import { isEnded, isFailed, JOB_STATUSES, PARK_REASONS, STEPS } from '../../src/domain/job-state.ts';
import { PARSE_TIERS } from '../../src/domain/parse-options.ts';
import { type Origin, ROUTE_REASONS, SERVICE_MODES, SERVICES } from '../../src/domain/service-mode.ts';
import { CHECK_GROUPS, CHECK_IDS } from '../../src/pipeline/checks/catalogue.ts';
import type { RetryOutcome } from '../../src/pipeline/retry.ts';
import type { DriveSummary } from '../../src/pipeline/run.ts';
import type { SpanStatus } from '../../src/pipeline/timeline.ts';
import { EVENT_CODES } from '../../src/store/events.ts';
import type { AttemptRow, JobEventRow } from '../../src/store/schema.ts';
import { ROOT } from '../rules/sources.ts';
import { readPage } from './json-page.ts';

const page = readPage(readFileSync(join(ROOT, 'docs/JSON_OUTPUT.md'), 'utf8'));
const sorted = (names: Iterable<string>) => [...names].sort();
/** The members of a union; the compiler sees to it that none is forgotten. */
const members = <T extends string>(all: Readonly<Record<T, true>>) => sorted(Object.keys(all));

describe('docs/JSON_OUTPUT.md', () => {
  it('has the closed lists of the code', () => {
    const ended = JOB_STATUSES.filter((status) => isEnded(status) && !isFailed(status)).map(
      (status) => `already_${status}`,
    );
    const lists: Record<string, readonly string[]> = {
      'job status': JOB_STATUSES,
      step: STEPS,
      state: members<StatusWord>({ ok: true, warn: true, fail: true, skip: true, run: true, wait: true }),
      'span status': members<SpanStatus>({
        ok: true,
        retry: true,
        wait: true,
        fail: true,
        lost: true,
        skip: true,
        run: true,
      }),
      'document status': DOCUMENT_STATUSES,
      'park reason': PARK_REASONS,
      service: SERVICES,
      'service mode': SERVICE_MODES,
      origin: members<Origin>({ mock: true, real: true }),
      'route reason': ROUTE_REASONS,
      'retry outcome': members<(RetryOutcome | FallbackOutcome)['state']>({
        retried: true,
        woken: true,
        refused: true,
        already_running: true,
        already_queued: true,
        already_waiting: true,
        already_complete: true,
        already_duplicate: true,
        already_cancelled: true,
        redone: true,
        already_redone: true,
        already_redoing: true,
        not_fallen_back: true,
        not_complete: true,
        replaced: true,
      }),
      'cancel outcome': ['cancelled', 'already_failed', ...ended],
      'error category': members<ErrorCategory>({
        usage: true,
        environment: true,
        budget: true,
        upstream: true,
        data: true,
        internal: true,
      }),
      'exit code': Object.values(EXIT).map(String),
      'event code': EVENT_CODES,
      outcome: members<AttemptRow['outcome']>({
        intent: true,
        sent: true,
        ok: true,
        failed: true,
        unknown: true,
        adopted: true,
      }),
      tier: PARSE_TIERS,
      'smoke step': SMOKE_STEPS,
      check: CHECK_IDS,
    };
    expect(sorted(page.lists.keys())).toEqual(sorted(Object.keys(lists)));
    for (const [name, values] of Object.entries(lists))
      expect(sorted(page.lists.get(name) ?? []), name).toEqual(sorted(values));
  });

  it('has the values of the code in its tables', () => {
    const values = (table: string, path: string) => sorted(page.tables.get(table)?.get(path)?.values ?? []);
    expect(values('tvdb.run/v1', 'stopped_by')).toEqual(
      members<DriveSummary['endedBy']>({
        drained: true,
        limit: true,
        idle: true,
        timeout: true,
        cap: true,
        failure: true,
        stopped: true,
      }),
    );
    expect(values('tvdb.upload/v1', 'skipped[].reason')).toEqual(
      members<SkipReason>({ hidden: true, 'not a PDF': true, 'linked directory': true, 'broken link': true }),
    );
    expect(values('Error object', 'facts.cause')).toEqual(
      members<StopCause>({ SIGINT: true, SIGTERM: true, SIGHUP: true, 'closed-pipe': true }),
    );
    expect(values('traced job', 'events[].severity')).toEqual(
      members<JobEventRow['severity']>({ debug: true, info: true, warn: true, error: true }),
    );
    expect(values('tvdb.doctor/v1', 'checks[].group')).toEqual(
      sorted(CHECK_GROUPS.map((group) => group.toLowerCase())),
    );
  });
});
