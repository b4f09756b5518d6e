/** What the commands that print data make of names, passages, notes and errors that attack a terminal. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { makePages } from '../../fixtures/mutate.mjs';
import { systemIds } from '../../src/base/ids.ts';
import { jsonText } from '../../src/base/json-text.ts';
import { appendEvent } from '../../src/store/events.ts';
import { FORBIDDEN, payloads } from '../setup/hostile-text.ts';
import { addJob } from '../setup/jobs.ts';
import { type Run, type RunOptions, runTvdb } from '../setup/run-tvdb.ts';
import { makeHome, seed, storeAt } from './seeded-home.ts';

const TEXTS = payloads();
/** What no line of JSON may hold raw, besides the C0 controls that JSON itself forbids. */
const RAW_IN_JSON = /[\0-\x09\x0b-\x1f\x7f-\x9f\p{Cf}\u2028\u2029]/u;
/** The escape codes of our own painter. */
const OWN_SGR = /\x1b\[(?:[12]|22|31|32|33|36|39)m/g;

/** The first character that a terminal would obey or hide, with what is around it; `null` when there is none. */
function hostileIn(text: string): string | null {
  const printed = text.replace(OWN_SGR, '').replace(/[\n\t]/g, ' ');
  const found = FORBIDDEN.exec(printed);
  return found === null ? null : JSON.stringify(printed.slice(Math.max(0, found.index - 40), found.index + 40));
}

function expectHarmless(run: Run): void {
  expect([hostileIn(run.stdout), hostileIn(run.stderr)]).toEqual([null, null]);
}

function expectSafeJson(run: Run): void {
  expect(run.stdout).not.toMatch(RAW_IN_JSON);
  expect(hostileIn(run.stderr)).toBe(null);
}

/** The forms text comes in: rows for a pipe, a page, a page in colour, and with all detail. */
const FORMS: [string, readonly string[], RunOptions][] = [
  ['TSV', [], {}],
  ['a page', [], { tty: 'stdout', env: { NO_COLOR: '1' } }],
  ['a page in colour', [], { tty: 'stdout', cols: 200 }],
  ['records of a narrow page', [], { tty: 'stdout', cols: 40 }],
  ['quiet', ['-q'], {}],
  ['all detail', ['-vv'], {}],
];

describe('JSON', () => {
  it('T93 is the same value with every C1 control, DEL and format character escaped', () => {
    for (const text of TEXTS) {
      expect(jsonText({ [text]: [text] })).not.toMatch(RAW_IN_JSON);
      expect(JSON.parse(jsonText({ [text]: [text] }))).toEqual(JSON.parse(JSON.stringify({ [text]: [text] })));
    }
    expect(jsonText({ a: 'Größe 日本 🙂' }, 2)).toBe('{\n  "a": "Größe 日本 🙂"\n}');
  });
});

describe('200 payloads in the store', () => {
  let home: string;
  let traced: string;

  beforeAll(async () => {
    home = makeHome();
    const { jobs } = await seed(home, ['employee-handbook.pdf']);
    await storeAt(home, async (store) => {
      const [main] = jobs;
      if (main === undefined) throw new Error('nothing was seeded');
      traced = main.job_id;
      for (const text of TEXTS) {
        const error = { code: text, category: text, message: text, why: text, fix: text, retryable: true };
        const job = await addJob(store, systemIds, {
          status: 'failed_parse',
          last_error: JSON.stringify(error),
          park_note: text,
          cost_center: text,
          tags: JSON.stringify({ [text]: text }),
        });
        const named = { filename: text, source_path: `/papers/${text}` };
        await store.db.updateTable('documents').set(named).where('document_id', '=', job.document_id).execute();
        const data = { note: text, reason: text, why: text, error, parser: text };
        await store.write((trx) =>
          appendEvent(trx, {
            code: 'RETRY_SCHEDULED',
            severity: 'warn',
            eventId: systemIds.uuid(),
            at: 1,
            subject: main,
            from: 'parse_queued',
            to: 'parse_queued',
            stage: 'parse',
            data,
          }),
        );
      }
      const all = TEXTS.join(' ');
      await store.db
        .updateTable('document_chunks')
        .set({ text: all, heading_path: JSON.stringify(TEXTS) })
        .execute();
      await store.db
        .updateTable('documents')
        .set({ filename: all, source_path: all })
        .where('document_id', '=', main.document_id)
        .execute();
    });
  });

  const commands = (): [string, readonly string[]][] => [
    ['status', ['status', '--limit', '1000']],
    ['status of a job', ['status', traced]],
    ['trace', ['trace', traced, '--full', '--limit', '1000']],
    ['search', ['search', 'annual leave and sickness', '--full']],
    ['search, cut', ['search', 'annual leave and sickness']],
    ['search for a payload', ['search', `leave ${TEXTS.join(' ').replaceAll('\0', '')}`]],
  ];

  it.each(FORMS)(
    'T93 come out of status, trace and search as %s without a byte that a terminal obeys',
    async (form, flags, options) => {
      for (const [name, argv] of commands()) {
        const run = await runTvdb([...argv, ...flags], { home, ...options });
        expect([name, run.code, run.stdout === '']).toEqual([name, 0, false]);
        expectHarmless(run);
        // They are there, made visible.
        if (form !== 'quiet') expect([name, run.stdout.includes('\\x1b')]).toEqual([name, true]);
      }
    },
  );

  it.each(['--json', '--ndjson'])('T93 come out of them as %s escaped, and as the same values', async (format) => {
    // search has no event stream.
    const answered = commands().filter(([name]) => format === '--json' || !name.startsWith('search'));
    for (const [name, argv] of answered) {
      const run = await runTvdb([...argv, format], { home });
      expect([name, run.code]).toEqual([name, 0]);
      expectSafeJson(run);
    }
    const { json } = await runTvdb(['status', '--limit', '1000', '--json'], { home });
    const names = new Set(json.data.jobs.map((job: { filename: string }) => job.filename));
    const wellFormed = TEXTS.filter((text) => !/\p{Cs}/u.test(text));
    expect(wellFormed.filter((text) => !names.has(text))).toEqual([]);
  });
});

describe('files with hostile names', () => {
  /** What a file can be called: no slash, no NUL, and nothing that UTF-8 cannot carry. */
  const NAMES = TEXTS.filter((text) => !/[/\0\p{Cs}]/u.test(text) && text.endsWith('.pdf'));

  /** Every fortieth is a document, the others are refused: both print their names. */
  function folder(): { home: string; argv: readonly string[] } {
    const home = makeHome();
    mkdirSync(join(home, 'work', 'in'), { recursive: true });
    for (const [index, name] of NAMES.entries())
      writeFileSync(
        join(home, 'work', 'in', name),
        index % 40 === 0 ? makePages(1, 600_000 + index) : `not one ${index}`,
      );
    return { home, argv: ['upload', '--recursive', 'in', '--no-input'] };
  }

  it('there are enough of them', () => {
    expect(NAMES.length).toBeGreaterThan(80);
  });

  it.each(FORMS)(
    'T93 are uploaded and refused as %s without a byte that a terminal obeys',
    async (_form, flags, options) => {
      const { home, argv } = folder();
      const run = await runTvdb([...argv, ...flags], { home, ...options });
      expect(run.code).toBe(7);
      expectHarmless(run);
    },
  );

  it.each(['--json', '--ndjson'])('T93 are answered as %s with the same names, escaped', async (format) => {
    const { home, argv } = folder();
    const run = await runTvdb([...argv, format], { home });
    expect(run.code).toBe(7);
    expectSafeJson(run);
    const last = format === '--json' ? run.json : JSON.parse(run.stdout.trimEnd().split('\n').at(-1) ?? '');
    const paths = new Set(last.data.documents.map((one: { path: string }) => one.path));
    expect(NAMES.filter((name) => ![...paths].some((path) => String(path).endsWith(`/${name}`)))).toEqual([]);
    const status = await runTvdb(['status', '--json'], { home });
    const trace = await runTvdb(['trace', status.json.data.jobs[0].job_id, '--json', '--full'], { home });
    for (const one of [status, trace]) expectSafeJson(one);
  });
});
