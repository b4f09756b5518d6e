import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ACTIVE_STATUSES,
  canMove,
  ENDED_STATUSES,
  FAILED_STATUSES,
  failureOf,
  INITIAL_STATUSES,
  isEnded,
  JOB_STATUSES,
  type JobStatus,
  MOVES,
  retryTarget,
} from '../../src/domain/job-state.ts';

const targets = (status: JobStatus) => MOVES[status].to as readonly JobStatus[];

describe('MOVES', () => {
  it('names only known statuses as targets', () => {
    for (const status of JOB_STATUSES) for (const to of targets(status)) expect(JOB_STATUSES).toContain(to);
  });

  it('has the fifteen statuses users know', () => {
    expect(JOB_STATUSES).toHaveLength(15);
  });

  it('lets complete, duplicate and cancelled absorb (J4)', () => {
    for (const status of ['complete', 'duplicate', 'cancelled'] as const) expect(targets(status)).toEqual([]);
  });

  it('leaves a failed status only to where retry resumes (J4)', () => {
    expect(FAILED_STATUSES.map((status) => [status, retryTarget(status), targets(status)])).toEqual([
      ['failed_parse', 'uploaded', ['uploaded']],
      ['failed_chunking', 'parse_validated', ['parse_validated']],
      ['failed_embedding', 'chunks_stored', ['chunks_stored']],
    ]);
  });

  it('lets every active status fail and be cancelled', () => {
    for (const status of ACTIVE_STATUSES) {
      expect(canMove(status, failureOf(status))).toBe(true);
      expect(canMove(status, 'cancelled')).toBe(true);
    }
  });

  it('can bring every status that a job can reach to complete or to an end', () => {
    const reachable = new Set<JobStatus>();
    const visit = (status: JobStatus) => {
      if (reachable.has(status)) return;
      reachable.add(status);
      for (const to of targets(status)) visit(to);
    };
    for (const status of INITIAL_STATUSES) visit(status);
    expect([...reachable].sort()).toEqual([...JOB_STATUSES].sort());
    const canComplete = (status: JobStatus, seen: Set<JobStatus>): boolean =>
      status === 'complete' ||
      (!seen.has(status) && targets(status).some((to) => canComplete(to, new Set([...seen, status]))));
    for (const status of [...ACTIVE_STATUSES, ...FAILED_STATUSES]) expect(canComplete(status, new Set())).toBe(true);
  });

  it('never leaves an absorbing status on any random walk', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 60 }), (choices) => {
        let status: JobStatus = 'uploaded';
        for (const choice of choices) {
          const next: JobStatus | undefined = targets(status)[choice % Math.max(1, targets(status).length)];
          if (next === undefined) {
            expect(isEnded(status)).toBe(true);
            return;
          }
          expect(canMove(status, next)).toBe(true);
          status = next;
        }
      }),
    );
  });

  it('knows every status as active or ended, never both', () => {
    expect([...ACTIVE_STATUSES, ...ENDED_STATUSES].sort()).toEqual([...JOB_STATUSES].sort());
  });
});
