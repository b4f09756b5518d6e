/** Peak memory of the whole process tree while the 180-page document goes through. Linux only (/proc). */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Bench, watchProcess } from './figures.ts';

export async function measure({ root, directory }: Bench): Promise<string[]> {
  const peaks: number[] = [];
  for (let round = 0; round < 3; round++) {
    let peak = 0;
    const path = join(root, 'fixtures/documents/policy.pdf');
    await watchProcess([join(root, 'bin/tvdb.js'), 'upload', path, '--force'], directory, (pid) => {
      peak = Math.max(peak, treeBytes(pid));
    });
    peaks.push(peak);
  }
  const mb = (bytes: number) => (bytes / 2 ** 20).toFixed(0);
  return [
    `peak memory, 180 pages              ${mb(Math.max(...peaks)).padStart(5)} MiB (aim <= 400)  resident, process tree, worst of ${peaks.map(mb).join(', ')}`,
  ];
}

/** Resident bytes of a process and everything below it; pages that processes share count for each of them. */
function treeBytes(root: number): number {
  const parents = new Map<number, number>();
  const resident = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      parents.set(pid, Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
      resident.set(pid, Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * 4096);
    } catch {
      // Ended meanwhile.
    }
  }
  const below = (pid: number): number =>
    (resident.get(pid) ?? 0) +
    [...parents].filter(([, parent]) => parent === pid).reduce((sum, [child]) => sum + below(child), 0);
  return below(root);
}
