import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeMany } from '../../fixtures/mutate.mjs';
import { FAULT_POINTS, type FaultPoint } from '../../src/base/fault.ts';
import { VARIABLES } from '../../src/config/variables.ts';
import { tempDirectory } from '../setup/temp.ts';
import { ONLY_PAID } from './paid-points.ts';
import { audit, incoming, PATIENT, start, tvdb } from './processes.ts';
import { storedFiles, workDone } from './record.ts';

/** Kills at each point: the 1st, 2nd, … time it is reached. */
const KILLS = Number(process.env.TVDB_CRASH_KILLS ?? '1');
const DOCUMENTS = 3;
/** Small batches, so that one document has several. */
const ENV = {
  ...{ EMBED_BATCH_SIZE: '1', CHUNK_TARGET_TOKENS: '80', CHUNK_MAX_TOKENS: '120', CHUNK_OVERLAP_TOKENS: '10' },
  ...PATIENT,
};

/** Every case uploads these; none changes them. */
const root = mkdtempSync(join(tmpdir(), 'tvdb-crash-'));
const documents = join(root, 'documents');
beforeAll(() => makeMany(documents, DOCUMENTS, 42));
afterAll(() => rmSync(root, { recursive: true, force: true, maxRetries: 3 }));

/** The default of EMBED_BATCH_SIZE, under which the eight processes work. */
const EIGHT_BATCH = Number(VARIABLES.EMBED_BATCH_SIZE.default);

const upload = (path = documents) => ['upload', path, '--recursive', '--no-input'];

describe.concurrent('T01 a process killed by SIGKILL', () => {
  let expected: { texts: string[] };

  beforeAll(async () => {
    const whole = await tvdb(root, upload(), ENV);
    expect([whole.code, whole.err]).toEqual([0, expect.any(String)]);
    expected = await audit(root);
    expect(expected.texts.length).toBeGreaterThanOrEqual(DOCUMENTS);
  });

  const ofUpload = FAULT_POINTS.filter((point) => !point.startsWith('delete.') && !ONLY_PAID.includes(point));
  const cases = ofUpload.flatMap((point) =>
    Array.from({ length: KILLS }, (_, index) => {
      const id = point.startsWith('finalize.') ? 'T86 ' : '';
      return [`${id}at ${point} (time ${index + 1})`, point, index + 1] as [string, FaultPoint, number];
    }),
  );

  it.for(cases)(
    '%s loses no job, doubles nothing, leaves no file in part, and is made up for by the next run',
    async ([, point, nth], hooks) => {
      const home = tempDirectory(hooks);
      const killed = await tvdb(home, upload(), { ...ENV, TVDB_FAULT: `${point}:${nth}` });
      // Every point must be reached at least once in a run of three documents.
      if (nth === 1) expect([point, killed.signal]).toEqual([point, 'SIGKILL']);
      if (killed.signal === null) expect(killed.code).toBe(0);
      // Nothing points at a missing file, and what there is is whole: the same bytes as in the end.
      await audit(home);
      const left = storedFiles(home);
      const after = await tvdb(home, ['run', '--no-input'], ENV);
      expect([after.code, after.err]).toEqual([0, expect.any(String)]);
      const accepted = await audit(home);
      expect(accepted.jobs.map((job) => job.status)).toEqual(accepted.jobs.map(() => 'complete'));
      // What the crash kept from being accepted is accepted now; what was is a duplicate.
      const again = await tvdb(home, upload(), ENV);
      expect([again.code, again.err]).toEqual([0, expect.any(String)]);
      const end = await audit(home);
      expect(end.jobs.filter((job) => job.status === 'complete')).toHaveLength(DOCUMENTS);
      expect(end.jobs.filter((job) => job.status !== 'complete' && job.status !== 'duplicate')).toEqual([]);
      expect(end).toMatchObject({ texts: expected.texts, buffered: 0, leased: 0 });
      expect(end.documents).toHaveLength(DOCUMENTS);
      expect(incoming(home).length).toBeLessThanOrEqual(killed.signal === null ? 0 : DOCUMENTS);
      const complete = (await workDone(home)).filter(({ status }) => status === 'complete');
      // Vectors of a mock are free and not kept with the end of their request: it is repeated. `paid-kill.test.ts` has
      // the ones that cost.
      const repeated = point === 'embed.batch_committed' ? 1 : 0;
      expect(complete.map(({ parses }) => parses)).toEqual(complete.map(() => 1));
      const extra = complete.map(({ embeds, vectors }) => embeds - vectors);
      expect(extra.filter((more) => more < 0 || more > repeated)).toEqual([]);
      // Bytes whose upload was killed before it was accepted stay as an orphan that doctor finds; even they are whole.
      const files = storedFiles(home);
      const whole = new Set(end.documents.flatMap((one) => [one.file_sha256, one.parsed_sha256]));
      expect([...files].filter(([, hash]) => !whole.has(hash))).toEqual([]);
      const orphans = point === 'upload.bytes_stored' && killed.signal !== null ? 1 : 0;
      expect(files.size).toBe(2 * DOCUMENTS + orphans);
      for (const [path, hash] of left) expect([path, files.get(path)]).toEqual([path, hash]);
    },
  );

  it('in the middle of ten documents leaves a queue that the next run finishes', async (hooks) => {
    const home = tempDirectory(hooks);
    await makeMany(join(home, 'documents'), 10, 7);
    const running = start(home, upload(join(home, 'documents')), { ...ENV, TVDB_FAULT: 'stage.after_commit:40' });
    expect((await running.ended).signal).toBe('SIGKILL');
    const before = await audit(home);
    expect(before.jobs.some((job) => job.status !== 'complete')).toBe(true);
    expect((await tvdb(home, ['run', '--no-input'], ENV)).code).toBe(0);
    const after = await audit(home);
    expect(after.jobs.map((job) => job.status)).toEqual(Array.from({ length: 10 }, () => 'complete'));
    expect(after).toMatchObject({ buffered: 0, leased: 0 });
  });
});

describe('a deletion killed between the store and the files', () => {
  it('is finished by the same command, and leaves nothing that doctor finds', async () => {
    const home = tempDirectory();
    expect((await tvdb(home, upload(), ENV)).code).toBe(0);
    const [document] = (await audit(home)).documents;
    const command = ['delete', document?.document_id ?? '', '--yes'];
    const killed = await tvdb(home, command, { ...ENV, TVDB_FAULT: 'delete.before_files' });
    expect(killed.signal).toBe('SIGKILL');
    // The store has forgotten it, its two files are still there.
    expect((await audit(home)).documents).toHaveLength(DOCUMENTS - 1);
    expect(storedFiles(home).size).toBe(2 * DOCUMENTS);
    const again = await tvdb(home, command, ENV);
    expect([again.code, again.err]).toEqual([0, expect.any(String)]);
    expect(storedFiles(home).size).toBe(2 * (DOCUMENTS - 1));
    const doctor = await tvdb(home, ['doctor', '--json'], ENV);
    const { checks } = JSON.parse(doctor.out).data as { checks: { id: string; status: string }[] };
    expect([doctor.code, checks.filter(({ status }) => status !== 'ok' && status !== 'skip')]).toEqual([0, []]);
    await audit(home);
  });
});

describe('eight processes on one queue', () => {
  it('work off 200 documents, each once, and show nobody a busy store', async () => {
    const home = tempDirectory();
    await makeMany(join(home, 'documents'), 200, 99);
    const accepted = await tvdb(home, [...upload(join(home, 'documents')), '--no-wait']);
    expect([accepted.code, accepted.err]).toEqual([0, expect.any(String)]);
    const runs = await Promise.all(Array.from({ length: 8 }, () => tvdb(home, ['run', '--no-input'])));
    for (const run of runs) {
      expect(run.code).toBe(0);
      expect(run.out + run.err).not.toMatch(/SQLITE|busy|E501/i);
    }
    const end = await audit(home);
    expect(end.jobs.map((job) => job.status)).toEqual(Array.from({ length: 200 }, () => 'complete'));
    const done = await workDone(home);
    expect(done).toEqual(
      done.map(({ vectors }) => ({
        status: 'complete',
        intents: 1,
        parses: 1,
        embeds: Math.ceil(vectors / EIGHT_BATCH),
        vectors,
        reclaimed: 0,
      })),
    );
    expect(Math.min(...done.map(({ vectors }) => vectors))).toBeGreaterThan(0);
  });
});
