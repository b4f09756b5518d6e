/** Checks of the store as a database: it opens, its pages and references are sound, its leases make sense. */
import { shortId } from '../../base/ids.ts';
import {
  brokenReferences,
  damageOf,
  type LeaseState,
  leaseStates,
  storeFacts,
  tableNames,
  wrongPragmas,
} from '../../store/check.ts';
import type { Store } from '../../store/open.ts';
import { deadWorkers, listWorkers } from '../../store/workers.ts';
import { type Check, type CheckContext, type Finding, failed, foreseen, ok, onStore, RESTORE } from './check.ts';

/** A lease this many times longer than a fresh one was written under a clock that was wrong. */
const LONG_LEASES = 2;

export const store: Check = async ({ openedStore, config: { home } }) => {
  try {
    const opened = await openedStore();
    if (opened === null) return ok('not made yet; the first upload makes it');
    const { bytes, version } = storeFacts(opened);
    return ok(`${home}  ${(bytes / 1e6).toFixed(1)} MB, schema ${version}`);
  } catch (thrown) {
    return failed(foreseen(thrown, home));
  }
};

export const pragmas: Check = (context) =>
  onStore(context, async (opened) => {
    const wrong = wrongPragmas(opened);
    if (wrong.length === 0) return ok('write-ahead log, every commit synced, no memory map');
    return { status: 'fail', detail: wrong.join('; '), why: 'an acknowledged commit could be lost' };
  });

export const quickCheck: Check = (context) => onStore(context, (opened) => tables(opened, context, 'quick_check'));

export const integrity: Check = (context) => onStore(context, (opened) => tables(opened, context, 'integrity_check'));

/** Table by table: one statement cannot be interrupted, but between two of them the time limit is kept. */
async function tables(
  opened: Store,
  { clock, signal }: CheckContext,
  how: 'quick_check' | 'integrity_check',
): Promise<Finding> {
  const names = tableNames(opened);
  for (const name of names) {
    await clock.sleep(0, signal);
    const [damage] = damageOf(opened, name, how);
    if (damage !== undefined) return { status: 'fail', detail: `table ${name} is damaged`, why: damage, fix: RESTORE };
  }
  return ok(`${names.length} tables sound`);
}

export const foreignKeys: Check = (context) =>
  onStore(context, async (opened) => {
    const broken = brokenReferences(opened);
    if (broken.length === 0) return ok('every reference holds');
    const detail = broken.map(({ table, rows }) => `${rows} rows of ${table} point to nothing`).join('; ');
    return { status: 'fail', detail, fix: RESTORE };
  });

export const leases: Check = (context) =>
  onStore(context, async ({ db }) => {
    const { clock, config } = context;
    const held = await leaseStates(db);
    return leaseFinding(held, {
      now: clock.now(),
      dead: await deadWorkers(db),
      leaseMs: config.settings.LEASE_DURATION,
    });
  });

/** Judges all leases at `now`. */
export function leaseFinding(
  held: readonly LeaseState[],
  { now, dead, leaseMs }: { now: number; dead: readonly string[]; leaseMs: number },
): Finding {
  const named = (list: readonly LeaseState[]) =>
    list
      .slice(0, 3)
      .map(({ job_id: id }) => shortId(id))
      .join(', ');
  const ended = held.filter((lease) => lease.ended === 1);
  if (ended.length > 0)
    return {
      status: 'fail',
      detail: `${ended.length} jobs have ended and are still held: ${named(ended)}`,
      why: 'a worker may think it owns them',
    };
  const far = held.filter((lease) => lease.lease_until > now + LONG_LEASES * leaseMs);
  if (far.length > 0) {
    const commands = far.slice(0, 1).map(({ job_id: id }) => `tvdb cancel ${shortId(id)}`);
    const fix = { text: 'correct the clock; cancel the job if nobody works on it', commands };
    return {
      status: 'warn',
      detail: `${far.length} leases end far in the future: ${named(far)}`,
      why: 'the clock of this machine was changed',
      fix,
    };
  }
  const lost = held.filter(
    (lease) => lease.lease_until <= now || lease.registered === 0 || dead.includes(lease.lease_owner),
  );
  if (lost.length === 0) return ok(held.length === 0 ? 'no job is held' : `${held.length} held by living workers`);
  const fix = { text: 'the next worker takes over', commands: ['tvdb run'] };
  return { status: 'warn', detail: `${lost.length} jobs belong to workers that are gone: ${named(lost)}`, fix };
}

export const workers: Check = (context) =>
  onStore(context, async ({ db }) => {
    const { clock, config } = context;
    const all = await listWorkers(db);
    const dead = await deadWorkers(db);
    const living = all.filter(({ worker_id: id }) => !dead.includes(id));
    const silent = living.filter(({ heartbeat_at: beat }) => clock.now() - beat > config.settings.LEASE_DURATION);
    const parts = [
      `${living.length - silent.length} running`,
      ...(silent.length > 0 ? [`${silent.length} silent`] : []),
      ...(dead.length > 0 ? [`${dead.length} dead`] : []),
    ];
    const detail = parts.join(', ');
    if (silent.length > 0) {
      const [{ pid, host }] = silent as [(typeof silent)[number]];
      return {
        status: 'warn',
        detail,
        why: `process ${pid} on ${host} gives no sign of life: suspended, stuck, or on a machine that is off`,
      };
    }
    if (dead.length === 0) return ok(detail);
    return {
      status: 'warn',
      detail,
      why: 'their processes were killed',
      fix: { text: 'the next worker takes over what they held', commands: ['tvdb run'] },
    };
  });
