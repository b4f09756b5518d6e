/**
 * Starts a PDF child process with everything it should not have taken away.
 *
 * The hard memory limit is RLIMIT_DATA and not RLIMIT_AS (`ulimit -v`): Node 20 reserves 1.2 GB of addresses before it
 * runs a line, and how much more depends on the number of cores, while the data it may really write (RLIMIT_DATA)
 * starts at 125 MB. It stops the single huge allocation that a sampling watch sees too late. Linux enforces it; other
 * systems accept or ignore it and are left with the heap limit, the time limit and the watch in `memory-watch.ts`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface ChildLimits {
  /** Resident memory the child may reach, in MiB. */
  memoryMb: number;
  /**
   * Seconds of CPU after which the kernel ends the child even if its parent is dead and it is stuck in a hostile file.
   */
  cpuSeconds: number;
  /** Milliseconds without a task after which the child ends by itself. */
  idleMs: number;
}

/**
 * Writable memory that a child with both readers loaded has mapped but never touches (stacks, arenas, code space). The V8 of
 * Node 24 maps 512 MiB more at its start, and does not start without them; a process of Node 20 or 22 starts within 100.
 */
const MAPPED_BUT_UNUSED_MB = 160 + (Number.parseInt(process.versions.node, 10) >= 24 ? 512 : 0);

const SHELL = '/bin/sh';

/** Seconds of CPU between the signal that says why (SIGXCPU, at the soft limit) and the one that cannot be caught. */
const CPU_GRACE_S = 5;

/**
 * No core dumps (they would hold the document); a limit that the system refuses to set is left as it is. The soft limit
 * of CPU is set first and lower: where both are the same the kernel sends SIGKILL, which looks like a lack of memory.
 */
const LIMITED = 'ulimit -c 0; ulimit -St "$1"; ulimit -Ht "$2"; ulimit -d "$3"; shift 3; exec "$@"';

/** Variables a child may see. No keys, no NODE_OPTIONS, no proxies, no home. */
const PASSED_ON = ['PATH', 'TZ', 'LANG', 'SystemRoot'];

/**
 * Starts a child that runs `entry`. It has no standard streams, only the channel; errors arrive as its `error` event.
 */
export function spawnChild(entry: URL | string, { memoryMb, cpuSeconds, idleMs }: ChildLimits): ChildProcess {
  const file = entry instanceof URL ? fileURLToPath(entry) : entry;
  const node = [
    process.execPath,
    `--max-old-space-size=${Math.max(64, Math.floor(memoryMb / 2))}`,
    // Young generation of 3 x 4 MiB instead of 3 x 16 MiB: 25 MB less for 180 pages, not measurably slower.
    '--max-semi-space-size=4',
    '--no-warnings',
    file,
    String(idleMs),
  ];
  const dataKb = (memoryMb + MAPPED_BUT_UNUSED_MB) * 1024;
  const [command = process.execPath, ...args] = existsSync(SHELL)
    ? [SHELL, '-c', LIMITED, 'sh', String(cpuSeconds), String(cpuSeconds + CPU_GRACE_S), String(dataKb), ...node]
    : node;
  return spawn(command, args, {
    cwd: dirname(file),
    env: Object.fromEntries(
      PASSED_ON.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
    ),
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    serialization: 'advanced',
    windowsHide: true,
  });
}
