/** A home directory with documents in it, made by the real pipeline on the fixtures, and ways to change its rows. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../src/base/clock.ts';
import { systemIds } from '../../src/base/ids.ts';
import { loadConfig } from '../../src/config/load.ts';
import { stageDocument } from '../../src/pipeline/staging.ts';
import { acceptDocument } from '../../src/pipeline/upload.ts';
import { work } from '../../src/pipeline/worker.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import { endRun, startRun } from '../../src/store/runs.ts';
import type { JobRow } from '../../src/store/schema.ts';
import { openWorld, type World } from '../../src/world.ts';
import { afterFile } from '../setup/afterwards.ts';
import type { VirtualClock } from '../setup/virtual-clock.ts';

export const FIXTURES = fileURLToPath(new URL('../../fixtures/documents/', import.meta.url));

export const BIN = fileURLToPath(new URL('../../bin/tvdb.js', import.meta.url));

export interface Seed {
  home: string;
  runId: string;
  jobs: JobRow[];
}

/** A directory that lives until the test file that imports this one has ended, whatever happens in it. */
export function makeHome(): string {
  const home = mkdtempSync(join(realpathSync(tmpdir()), 'tvdb-seed-'));
  afterFile(() => rmSync(home, { recursive: true, force: true, maxRetries: 3 }));
  return home;
}

/** Opens the world that `runTvdb({ home })` uses. */
export async function worldAt<T>(
  home: string,
  use: (world: World) => Promise<T>,
  env: Record<string, string> = {},
): Promise<T> {
  const cwd = join(home, 'work');
  mkdirSync(cwd, { recursive: true });
  const config = loadConfig({
    env: { HOME: home, XDG_CONFIG_HOME: join(home, 'config'), XDG_DATA_HOME: join(home, 'data'), ...env },
    cwd,
  });
  const world = await openWorld(config, { clock: systemClock, ids: systemIds, random: () => 0.5 });
  try {
    return await use(world);
  } finally {
    await world.close();
  }
}

/** The store of a home, for rows that the pipeline would take long to make. */
export async function storeAt<T>(home: string, use: (store: Store) => Promise<T>): Promise<T> {
  const store = openStore({ home: join(home, 'data', 'tvdb') });
  try {
    return await use(store);
  } finally {
    await store.close();
  }
}

/** Lets a command that sleeps again and again live through `steps` of its sleeps, each time waiting until it does sleep. */
export async function livesThrough(clock: VirtualClock, steps: number, ms: number): Promise<void> {
  for (let step = 0; step < steps; step += 1) {
    while (clock.sleepers === 0) await new Promise((next) => setImmediate(next));
    await clock.advance(ms);
  }
}

export interface SeedOptions {
  tags?: Record<string, string>;
  /** Only accept; no worker runs. */
  leave?: boolean;
  env?: Record<string, string>;
}

/** Uploads fixtures (or absolute paths) and works on them to the end. */
export async function seed(
  home: string,
  files: readonly string[],
  { tags = {}, leave = false, env = {} }: SeedOptions = {},
): Promise<Seed> {
  const { signal } = new AbortController();
  return worldAt(
    home,
    async ({ pipeline, router, config, ids, clock, store }) => {
      const runId = ids.uuid();
      await store.write((trx) => startRun(trx, { runId, command: 'upload', mode: 'mock', now: clock.now() }));
      const decision = router.decide(config.settings.SERVICE_MODE);
      const accepted: string[] = [];
      for (const file of files) {
        const path = file.startsWith('/') ? file : join(FIXTURES, file);
        const staged = await stageDocument(pipeline, { kind: 'file', path }, signal);
        const options = { runId, decision, priority: 0, tags, costCenter: null, force: false, keepOld: false };
        accepted.push((await acceptDocument(pipeline, staged, options, () => {})).job.job_id);
      }
      if (!leave) {
        await work(pipeline, {
          concurrency: 2,
          until: 'drain',
          waitForOthers: false,
          onEvent() {},
          signals: { abort: signal, stopping: signal },
        });
        await store.write((trx) => endRun(trx, { runId, now: clock.now(), exitCode: 0 }));
      }
      const jobs = await store.db
        .selectFrom('upload_jobs')
        .selectAll()
        .where('job_id', 'in', accepted)
        .orderBy('created_at')
        .execute();
      return { home, runId, jobs };
    },
    env,
  );
}
