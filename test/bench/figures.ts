/** Medians, and running processes to be measured. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

export interface Bench {
  /** Root of the repository. */
  root: string;
  /** An empty directory that is removed afterwards. */
  directory: string;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

/** `name   1.42  (aim <= 1.5)   detail` */
export function ratioLine(name: string, ratio: number, aim: number, detail: string): string {
  return `${name.padEnd(34)} ${ratio.toFixed(2).padStart(6)}  (aim <= ${aim})  ${detail}`;
}

export const ms = (value: number) => `${value.toFixed(value < 10 ? 1 : 0)} ms`;

/** The environment of a measured process: a home of its own, nothing else of the caller's. */
export function cleanEnv(directory: string): Record<string, string> {
  return { PATH: process.env.PATH ?? '', HOME: directory, TVDB_HOME: join(directory, 'home') };
}

/** Milliseconds a process takes from start to exit. Throws when it fails. */
export function timeProcess(args: readonly string[], directory: string): number {
  const started = performance.now();
  const { status, stderr } = spawnSync(process.execPath, args, {
    env: cleanEnv(directory),
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 2 ** 30,
  });
  if (status !== 0) throw new Error(`${args.join(' ')} ended with ${status}: ${stderr}`);
  return performance.now() - started;
}

/** Runs a process to its end and calls `look` with its process id again and again meanwhile. */
export async function watchProcess(
  args: readonly string[],
  directory: string,
  look: (pid: number) => void,
): Promise<void> {
  const child = spawn(process.execPath, args, { env: cleanEnv(directory), stdio: 'ignore' });
  const timer = setInterval(() => look(child.pid ?? 0), 10);
  const [code] = (await once(child, 'exit')) as [number];
  clearInterval(timer);
  if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}`);
}
