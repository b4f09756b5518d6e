/** Every command's JSON against docs/JSON_OUTPUT.md, in success, on an empty store and in failure. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { COMMANDS } from '../../src/cli/commands/index.ts';
import { ROOT } from '../rules/sources.ts';
import { type Comparison, compare, type Page, readPage } from './json-page.ts';
import type { Json, Situation } from './json-place.ts';
import { allSituations } from './json-situations.ts';

const page: Page = readPage(readFileSync(join(ROOT, 'docs/JSON_OUTPUT.md'), 'utf8'));
const withJson = COMMANDS.filter(({ json }) => json !== null);
const table = (heading: string) => {
  const found = page.tables.get(heading);
  if (found === undefined) throw new Error(`docs/JSON_OUTPUT.md has no section "${heading}"`);
  return found;
};
const sorted = (names: Iterable<string>) => [...names].sort();
/**
 * Fields that are described and that no situation here makes: a request that never arrived or was done twice, a batch that
 * was found again, and pages the service could not read need a damaged service, and seconds of waiting for it.
 */
const NOT_MADE: readonly string[] = [
  ...[
    ...['looked_for_ms', 'job_id', 'twin_attempt_id', 'nano_usd', 'adopted', 'accepted'],
    ...['failed_pages', 'missing_pages', 'empty_pages', 'cut_pages'],
  ].map((name) => `traced job: events[].${name}`),
  // A ledger that does not add up, a hold that cannot be released: here all is well.
  ...['findings', 'state'].map((name) => `Error object: facts.${name}`),
];
let situations: Situation[];
beforeAll(async () => {
  situations = await allSituations(COMMANDS.map(({ name }) => name));
}, 180_000);

const schemaOf = ({ command }: Situation) => COMMANDS.find(({ name }) => name === command)?.json ?? 'tvdb.error/v1';
const title = ({ place, argv }: Situation) => `${place}: tvdb ${argv}`;
const isRecords = ({ command, ndjson }: Situation) => ndjson && command === 'export';
const documents = () =>
  situations.filter(({ ndjson }) => !ndjson).map((one) => ({ one, document: JSON.parse(one.stdout) as Json }));
const streams = () =>
  situations
    .filter((one) => one.ndjson && !isRecords(one))
    .map((one) => ({
      one,
      events: one.stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Json),
    }));
const records = () =>
  situations.filter(isRecords).flatMap(({ stdout }) =>
    stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Json),
  );
/** Everything that was printed, parsed. */
const printed = (): Json[] => [
  ...documents().map(({ document }) => document),
  ...streams().flatMap(({ events }) => events),
  ...records(),
];

describe('docs/JSON_OUTPUT.md', () => {
  it('has a table for every schema, and no schema that no command has', () => {
    const described = [...page.tables.keys()].filter((heading) => /^tvdb\..*\/v\d+$/.test(heading));
    const declared = withJson.map(({ json }) => json ?? '');
    expect(sorted(described)).toEqual(sorted([...declared, 'tvdb.error/v1', 'tvdb.events/v1']));
    for (const schema of declared) expect(table(schema).size, schema).toBeGreaterThan(0);
  });

  it('has a complete sample for the envelope, the error and every schema', () => {
    const problems: string[] = [];
    for (const heading of ['Envelope', 'Error object', ...withJson.map(({ json }) => json ?? '')]) {
      const comparison = { met: new Set<string>(), problems: [] as string[] };
      compare(JSON.parse(page.samples.get(heading) ?? 'null') as object, table(heading), comparison);
      problems.push(...comparison.problems.map((problem) => `${heading}: ${problem}`));
    }
    expect(problems).toEqual([]);
  });

  it('describes every field that is printed, and nothing that is never printed', () => {
    const met = new Set<string>();
    const problems = new Set<string>();
    const against = (heading: string, value: object) => {
      const comparison: Comparison = { met, problems: [] };
      compare(value, table(heading), comparison);
      for (const problem of comparison.problems) problems.add(`${heading}: ${problem}`);
    };
    const envelope = (one: Situation, document: Json) => {
      const { data, ...rest } = document;
      against('Envelope', { data: null, ...rest });
      if (data === null || one.argv.includes('--fields')) return;
      // Nothing is known then, whatever the types say.
      if (one.command === 'trace' && data.job_id === null) return;
      against(schemaOf(one), data);
    };
    for (const { one, document } of documents()) envelope(one, document);
    for (const { one, events } of streams()) {
      for (const { v, seq, ts, type, run_id, ...fields } of events) {
        const ofJob = type === 'stage' && one.command === 'status';
        against('event', { v, seq, ts, type, ...(run_id !== undefined && { run_id }) });
        if (type === 'result') envelope(one, fields);
        else against(headingOf(type, one.command), { ...fields, ...(ofJob && { run_id }) });
      }
    }
    for (const record of records()) against('export record', record);
    expect(sorted(problems)).toEqual([]);

    const described = new Set([...page.tables.values()].flatMap((fields) => [...fields.values()].map(({ id }) => id)));
    const missing = [...described].filter((id) => !met.has(id));
    expect(sorted(missing)).toEqual(sorted(NOT_MADE));
  });
});

function headingOf(type: string, command: string): string {
  if (type !== 'stage') return type;
  if (command === 'upload' || command === 'retry') return 'stage: upload, retry';
  return command === 'run' || command === 'serve' ? 'stage: run, serve' : `stage: ${command}`;
}

describe('every command with a JSON form', () => {
  it('is run here with success and with failure, on an empty store and on a full one', () => {
    const ran = (when: (one: Situation) => boolean) => new Set(situations.filter(when).map(({ command }) => command));
    const names = withJson.map(({ name }) => name);
    const without = (have: ReadonlySet<string>) => names.filter((name) => !have.has(name));
    expect(without(ran(({ code }) => code === 0))).toEqual([]);
    expect(without(ran(({ code }) => code !== 0))).toEqual([]);
    expect(without(ran(({ place }) => place === 'empty'))).toEqual([]);
    expect(without(ran(({ place, code }) => place !== 'empty' && code === 0))).toEqual([]);
    const streaming = COMMANDS.filter(({ ndjson }) => ndjson).map(({ name }) => name);
    expect(streaming.filter((name) => !ran(({ ndjson }) => ndjson).has(name))).toEqual([]);
  });

  it('prints one document with its schema and the exit code of the process', () => {
    for (const { one, document } of documents()) {
      expect(one.stdout, title(one)).toMatch(/^\{\n[\s\S]*\n\}\n$/);
      expect(document, title(one)).toMatchObject({ schema: schemaOf(one), exit_code: one.code, ok: one.code === 0 });
      if (document.ok) expect(document.error, title(one)).toBeNull();
      if (document.error === null && !document.ok) expect([1, 8, 9], title(one)).toContain(one.code);
    }
  });

  it('streams events from hello to result, numbered, the result with the exit code of the process', () => {
    for (const { one, events } of streams()) {
      expect(
        events.map(({ seq }) => seq),
        title(one),
      ).toEqual(events.map((_event, index) => index));
      // Before a command is known there is nobody to say hello.
      if (one.command !== '') expect(events[0], title(one)).toMatchObject({ type: 'hello', schema: 'tvdb.events/v1' });
      expect(events.at(-1), title(one)).toMatchObject({ type: 'result', schema: schemaOf(one), exit_code: one.code });
      expect(
        events.filter(({ type }) => type === 'result'),
        title(one),
      ).toHaveLength(1);
    }
  });

  it('has the same keys in data on an empty store as on a full one', () => {
    const keys = new Map<string, Set<string>>();
    for (const { one, document } of documents()) {
      if (document.data === null || one.argv.includes('--fields')) continue;
      const fields = table(document.schema);
      const always = Object.keys(document.data).filter((key) => fields.get(key)?.sometimes !== true);
      const known = keys.get(document.schema) ?? new Set();
      keys.set(document.schema, known.add(sorted(always).join(' ')));
    }
    expect([...keys].filter(([, variants]) => variants.size !== 1)).toEqual([]);
  });
});

describe('every key and value', () => {
  /** Every key with its value and its neighbours, wherever it is. */
  const pairs = function* (value: Json, at = ''): Generator<[path: string, key: string, value: Json, all: Json]> {
    if (value === null || typeof value !== 'object') return;
    for (const [key, inner] of Object.entries(value)) {
      const path = Array.isArray(value) ? `${at}[]` : `${at}.${key}`;
      if (!Array.isArray(value)) yield [path, key, inner, value];
      yield* pairs(inner, path);
    }
  };
  const offenders = (wrong: (key: string, value: Json, all: Json) => boolean) => {
    const found = new Set<string>();
    for (const whole of printed())
      for (const [path, ...pair] of pairs(whole)) if (wrong(...pair)) found.add(`${whole.schema} ${path}`);
    return [...found];
  };

  it('is in snake_case', () => {
    expect(offenders((key) => !/^[a-z][a-z0-9]*(_[a-z0-9]+)*$/.test(key))).toEqual([]);
  });

  it('of time is RFC 3339 in UTC, never a number', () => {
    const isTime = /(^|_)(at|ts|until|since)$/;
    expect(
      offenders(
        (key, value) => isTime.test(key) && value !== null && !/^\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z$/.test(value),
      ),
    ).toEqual([]);
    // Ms since 1970 of this century, where a time was meant.
    expect(offenders((key, value) => Number.isInteger(value) && value > 1e12 && !key.endsWith('_ms'))).toEqual([]);
  });

  it('of duration and money is an integer or null', () => {
    const isWhole = /(^|_)(ms|nano_usd)$/;
    expect(offenders((key, value) => isWhole.test(key) && value !== null && !Number.isSafeInteger(value))).toEqual([]);
    expect(offenders((key) => key.includes('ms_') || /(_s|_sec|_seconds|_minutes)$/.test(key))).toEqual([]);
  });

  it('of money for people stands beside its nano-USD and says the same', () => {
    const wrong = (key: string, value: Json, all: Json) => {
      if (!/(^|_)usd$/.test(key) || key.endsWith('nano_usd')) return false;
      const nano = all[key.replace(/usd$/, 'nano_usd')];
      return nano === undefined || (nano === null ? value !== null : value !== nano / 1e9);
    };
    expect(offenders(wrong)).toEqual([]);
  });
});
