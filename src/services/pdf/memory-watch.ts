/** Watches the resident memory of a process from outside: the soft half of the memory limit, with a reason to give. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import type { Clock } from '../../base/clock.ts';

/** Milliseconds between looks. A look is one read of /proc on Linux, and a process (`ps`) elsewhere. */
const EVERY_MS = process.platform === 'linux' ? 50 : 500;

/**
 * Calls `onExceeded` once when the process has more than `limitBytes` resident, and ends then or when `signal` aborts.
 * On Windows there is no cheap way to look, so nothing is watched there.
 */
export async function watchMemory(
  pid: number,
  limitBytes: number,
  onExceeded: () => void,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  if (process.platform === 'win32') return;
  for (;;) {
    // Aborting is the normal end of a watch.
    const slept = await clock.sleep(EVERY_MS, signal).then(
      () => true,
      () => false,
    );
    if (!slept) return;
    const bytes = await residentBytes(pid);
    if (signal.aborted) return;
    if (bytes > limitBytes) return onExceeded();
  }
}

/** Resident bytes of a process; 0 when it is gone or cannot be seen. */
async function residentBytes(pid: number): Promise<number> {
  if (process.platform === 'linux') {
    const status = await readFile(`/proc/${pid}/status`, 'latin1').catch(() => '');
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
  }
  return new Promise((resolve) => {
    execFile('ps', ['-o', 'rss=', '-p', String(pid)], (error, stdout) => {
      resolve(error === null ? (Number.parseInt(stdout, 10) || 0) * 1024 : 0);
    });
  });
}
