/** Processes that may hold leases, and which of them are certainly dead. */
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import type { Db, Trx } from './open.ts';

interface ProcessIdentity {
  host: string;
  boot_id: string;
  pid: number;
  pid_started: string;
}

/** This process, in terms that a reused process id cannot fake. */
export function thisProcess(): ProcessIdentity {
  return {
    host: `${hostname()}${processNamespace()}`,
    boot_id: bootId(),
    pid: process.pid,
    pid_started: startOf(process.pid) ?? '',
  };
}

/** Registers a worker. Its id is random: a process id alone may be reused. */
export async function registerWorker(
  trx: Trx,
  workerId: string,
  identity: ProcessIdentity,
  now: number,
): Promise<void> {
  await trx
    .insertInto('workers')
    .values({ worker_id: workerId, ...identity, started_at: now, heartbeat_at: now })
    .execute();
}

/** Forgets a worker that ended in good order. */
export async function removeWorker(trx: Trx, workerId: string): Promise<void> {
  await trx.deleteFrom('workers').where('worker_id', '=', workerId).execute();
}

/**
 * Ids of registered workers on this machine whose process is gone. A worker that merely stopped answering is not among
 * them: its lease has to run out. On systems without /proc a reused process id hides a death until then, too.
 */
export async function deadWorkers(db: Db): Promise<string[]> {
  const here = thisProcess();
  const rows = await db.selectFrom('workers').selectAll().where('host', '=', here.host).execute();
  return rows.filter((row) => row.boot_id !== here.boot_id || !isSameProcess(row)).map((row) => row.worker_id);
}

/** Owners of leases that are not registered (any more): a worker that gave up without being able to release its jobs. */
export async function unknownOwners(db: Db): Promise<string[]> {
  const rows = await db
    .selectFrom('upload_jobs')
    .select('lease_owner')
    .distinct()
    .where('lease_owner', 'is not', null)
    .where('lease_owner', 'not in', (query) => query.selectFrom('workers').select('worker_id'))
    .execute();
  return rows.flatMap((row) => row.lease_owner ?? []);
}

/** Removes the rows of dead workers once their leases are released. */
export async function forgetWorkers(trx: Trx, workerIds: readonly string[]): Promise<void> {
  if (workerIds.length > 0) await trx.deleteFrom('workers').where('worker_id', 'in', workerIds).execute();
}

/** Workers that are registered, newest sign of life first. */
export async function listWorkers(db: Db) {
  return db.selectFrom('workers').selectAll().orderBy('heartbeat_at', 'desc').execute();
}

/** Whether the process that had this id and start time on this machine is still alive. */
export function isSameProcess({ pid, pid_started }: { pid: number; pid_started: string }): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it lives and belongs to somebody else.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  const start = startOf(pid);
  return start === undefined || start === pid_started;
}

/** Containers may share a host name and not their processes: a process of another namespace cannot be judged from here. */
function processNamespace(): string {
  try {
    return ` ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return '';
  }
}

function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}

/**
 * Start time of a process in clock ticks since boot: field 22 of /proc/<pid>/stat, counted after the name in
 * parentheses. `null` for a dead process its parent has not collected yet, `undefined` where there is no /proc.
 */
function startOf(pid: number): string | null | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? null : fields[19];
  } catch {
    return undefined;
  }
}
