import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { CHECK_IDS, type CheckId } from '../../src/pipeline/checks/catalogue.ts';
import { type Check, ok } from '../../src/pipeline/checks/check.ts';
import { RUN } from '../../src/pipeline/checks/checks.ts';
import { examine } from '../../src/pipeline/checks/examine.ts';
import { spaceFinding } from '../../src/pipeline/checks/paths.ts';
import { nodeSupport } from '../../src/pipeline/checks/runtime.ts';
import { leaseFinding } from '../../src/pipeline/checks/store.ts';
import { tempDirectory } from '../setup/temp.ts';
import { virtualClock } from '../setup/virtual-clock.ts';

const calm: Record<CheckId, Check> = Object.fromEntries(
  CHECK_IDS.map((id) => [id, async () => ok(id)]),
) as unknown as Record<CheckId, Check>;

function examining(run: Partial<Record<CheckId, Check>>, limitMs?: number, only: CheckId[] = []) {
  const directory = tempDirectory();
  const clock = virtualClock();
  const config = loadConfig({ env: { HOME: directory, TVDB_HOME: join(directory, 'home') }, cwd: directory });
  const stopping = new AbortController();
  const options = {
    config,
    env: {},
    cwd: directory,
    envFile: undefined,
    version: '0',
    clock,
    offline: true,
    only,
    limitMs,
    stopping: stopping.signal,
  };
  return { clock, stopping, answer: examine(options, { ...calm, ...run }) };
}

const forever: Check = () => new Promise(() => {});

describe('the examination', () => {
  it('answers in the order of the catalogue, whatever takes longest, without those on request', async () => {
    const { answer } = examining({
      node: async () => new Promise((resolve) => setImmediate(() => resolve(ok('late')))),
    });
    expect((await answer).map(({ id }) => id)).toEqual(CHECK_IDS.filter((id) => id !== 'integrity'));
  });

  it('fails a check that does not answer within its limit, and goes on without it', async () => {
    const { answer, clock } = examining({ node: forever, store: forever }, 3_000);
    await clock.advance(3_000);
    await clock.advance(3_000);
    const found = new Map((await answer).map((one) => [one.id, one]));
    expect(found.get('node')).toMatchObject({ status: 'fail', detail: 'no answer within 3000 ms', ms: 3_000 });
    expect(found.get('store')).toMatchObject({ status: 'fail' });
    expect(found.get('pragmas')?.status).toBe('ok');
  });

  it('tells a check that its time is up', async () => {
    let told = false;
    const { answer, clock } = examining(
      {
        node: ({ signal }) =>
          new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => {
              told = true;
              reject(signal.reason);
            });
          }),
      },
      1_000,
      ['node'],
    );
    await clock.advance(1_000);
    await answer;
    expect(told).toBe(true);
  });

  it('makes a finding of what a check throws', async () => {
    const { answer } = examining({ node: async () => Promise.reject(new Error('no such thing')) }, undefined, ['node']);
    expect(await answer).toMatchObject([{ status: 'fail', why: 'unexpected: no such thing' }]);
  });

  it('says which place the system refuses (E104)', async () => {
    const refused = Object.assign(new Error('EACCES: permission denied'), {
      code: 'EACCES',
      syscall: 'lstat',
      path: '/data/tvdb.sqlite',
    });
    const { answer } = examining({ store: async () => Promise.reject(refused) }, undefined, ['store']);
    expect(await answer).toMatchObject([
      {
        status: 'fail',
        detail: '/data/tvdb.sqlite cannot be used  (TVDB-E104)',
        why: 'the system says EACCES',
        fix: { text: 'Check its owner and permissions, or set TVDB_HOME.' },
      },
    ]);
  });

  it('skips what is left when it is stopped', async () => {
    const { answer, stopping } = examining({ node: forever }, undefined, ['node']);
    stopping.abort();
    expect(await answer).toMatchObject([{ status: 'skip', detail: 'stopped' }]);
  });

  it('has a function for every row, and only for those', () => {
    expect(Object.keys(RUN)).toEqual(CHECK_IDS);
  });
});

describe('judging', () => {
  it.each([
    ['v20.18.3', 'fail'],
    ['v20.19.0', 'ok'],
    ['v20.20.2', 'ok'],
    ['v22.11.0', 'fail'],
    ['v22.12.0', 'ok'],
    ['v24.0.0', 'ok'],
    ['v23.5.0', 'warn'],
    ['v26.1.0', 'warn'],
    ['v18.20.0', 'fail'],
    ['v21.0.0', 'warn'],
  ])('Node.js %s as %s', (version, status) => {
    expect(nodeSupport(version).status).toBe(status);
  });

  it.each([
    [50_000_000, false, 'fail'],
    [500_000_000, false, 'warn'],
    [5_000_000_000, false, 'ok'],
    [5_000_000_000, true, 'fail'],
  ])('%d free bytes, no inodes %s, as %s', (free, full, status) => {
    expect(spaceFinding(free, full).status).toBe(status);
  });

  it.each([
    ['a lease of a living worker', {}, 'ok'],
    ['one that ran out', { lease_until: 900 }, 'warn'],
    ['one of a worker nobody knows', { registered: 0 as const }, 'warn'],
    ['one of a dead worker', { lease_owner: 'dead' }, 'warn'],
    ['one that ends in an hour', { lease_until: 3_600_000 }, 'warn'],
    ['one on a job that has ended', { ended: 1 as const }, 'fail'],
  ])('%s', (_name, changes, status) => {
    const lease = {
      job_id: 'job',
      lease_owner: 'w',
      lease_until: 20_000,
      ended: 0 as const,
      registered: 1 as const,
      ...changes,
    };
    expect(leaseFinding([lease], { now: 1_000, dead: ['dead'], leaseMs: 30_000 }).status).toBe(status);
  });
});
