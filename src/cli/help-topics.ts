/** The help topics: exit codes, environment, formatting, errors. All are made from the tables the code itself uses. */
import { ERROR_CODES, type ErrorCode } from '../base/error-codes.ts';
import { TvdbError } from '../base/errors.ts';
import { EXIT_MEANINGS } from './exit-codes.ts';
import { closest } from './suggest.ts';
import type { Cell } from './ui/text.ts';
import type { Page } from './ui/ui.ts';

/** A topic as data, as a page and as rows. */
export interface Topic {
  readonly data: object;
  readonly render: (page: Page) => void;
  readonly plain: () => readonly (readonly Cell[])[];
}

/** What each exit code means. */
export function exitCodesTopic(): Topic {
  const codes = Object.entries(EXIT_MEANINGS).map(([code, meaning]) => ({ code: Number(code), meaning }));
  return {
    data: { exit_codes: codes },
    plain: () => codes.map(({ code, meaning }) => [code, meaning]),
    render(page) {
      page.table({
        columns: [
          { head: 'CODE', align: 'right' },
          { head: 'MEANING', flex: true },
        ],
        rows: codes.map(({ code, meaning }) => [code, meaning]),
      });
      page.blank();
      page.line('When several apply: 70, 130, 2, 4, 5, 6, 7, 1, 9, 8.');
    },
  };
}

/** Every setting with its default; secrets have none. */
export async function environmentTopic(): Promise<Topic> {
  const { VARIABLES } = await import('../config/variables.ts');
  const rows = Object.entries(VARIABLES).map(([name, row]) => ({
    name,
    group: row.group,
    default: row.default ?? null,
    doc: row.doc,
  }));
  return {
    data: { variables: rows },
    plain: () => rows.map((row) => [row.name, row.default ?? '', row.doc]),
    render(page) {
      page.line(
        'Precedence: flags, environment, .env.tvdb001, .env, saved preferences, defaults. An empty value counts as unset.',
      );
      for (const group of new Set(rows.map((row) => row.group))) {
        page.blank();
        page.heading(group);
        for (const row of rows.filter((one) => one.group === group)) {
          page.line(`  ${row.name}${row.default === null ? '' : `  (default ${row.default})`}`);
          page.line(`      ${row.doc}`);
        }
      }
      page.blank();
      page.heading('Conventions of the terminal');
      for (const [name, doc] of CONVENTIONS) {
        page.line(`  ${name}`);
        page.line(`      ${doc}`);
      }
    },
  };
}

const CONVENTIONS = [
  ['NO_COLOR', 'Any text switches colour off.'],
  ['FORCE_COLOR', 'Any text but 0 and false switches colour on, also in pipes.'],
  ['CI', 'Set and not 0 or false: never ask, never animate.'],
  ['TERM', 'dumb: no colour, no animation, no questions.'],
  ['HOME, XDG_CONFIG_HOME, XDG_DATA_HOME', 'Where preferences and the store are.'],
] as const;

/** How output is chosen: JSON, events, pipes, colour. */
export function formattingTopic(): Topic {
  const formats = [
    {
      name: 'json',
      when: '--json',
      what: 'one document on stdout, success or failure: schema, tvdb, generated_at, ok, exit_code, data, warnings, error',
    },
    {
      name: 'ndjson',
      when: '--ndjson',
      what: 'one event a line: hello first, result last; each has v, seq, ts, type, and run_id when there is one',
    },
    { name: 'quiet', when: '-q', what: 'only what the next command needs, one a line' },
    {
      name: 'plain',
      when: 'stdout is not a terminal',
      what: 'one record a line, cells apart by tabs, no header, no colour',
    },
    { name: 'rich', when: 'stdout is a terminal', what: 'a page for people' },
  ];
  return {
    data: { formats },
    plain: () => formats.map(({ name, when, what }) => [name, when, what]),
    render(page) {
      page.line('What stdout gets; the first that applies:');
      for (const { name, when, what } of formats) page.field(name, `${when}: ${what}`);
      page.blank();
      page.line('Progress, questions, notes, warnings and errors are on stderr in every format.');
      page.line(
        'In JSON: keys are snake_case, times RFC 3339 UTC, durations end in _ms, money is in nano-USD (*_nano_usd), unknown is null. New keys may be added; readers ignore what they do not know.',
      );
      page.line('--fields a,b keeps those keys of data, or those keys of the rows of its lists.');
      page.line(
        'Colour: --color, then NO_COLOR, then FORCE_COLOR, then whether the stream is a terminal. A status is always also a word.',
      );
      page.line(
        'TVDB_ASCII=1 draws with ASCII only; TVDB_ACCESSIBLE=1 writes labelled records and plain progress for screen readers.',
      );
    },
  };
}

/** One code (`E101`, `TVDB-E101`) or all. Throws E005 for a code that does not exist. */
export function errorsTopic(code: string | undefined): Topic {
  const all = Object.entries(ERROR_CODES).map(([id, row]) => ({ code: `TVDB-${id}`, ...row }));
  if (code === undefined) {
    return {
      data: { errors: all },
      plain: () => all.map((row) => [row.code, row.exit, row.category, row.title, row.fix]),
      render: (page) =>
        page.table({
          columns: [
            { head: 'CODE' },
            { head: 'EXIT', align: 'right' },
            { head: 'CATEGORY' },
            { head: 'MEANING', flex: true },
          ],
          rows: all.map((row) => [row.code, row.exit, row.category, row.title]),
        }),
    };
  }
  const wanted = code.toUpperCase().replace(/^TVDB-/, '') as ErrorCode;
  const row = ERROR_CODES[wanted];
  if (row === undefined) {
    const guess = closest(wanted, Object.keys(ERROR_CODES));
    throw new TvdbError('E005', {
      message: `There is no error code "${code}".${guess === undefined ? '' : ` Did you mean "${guess}"?`}`,
      fix: 'List them with `tvdb help errors`.',
      facts: { command: 'help', value: code },
    });
  }
  return {
    data: { errors: [{ code: `TVDB-${wanted}`, ...row }] },
    plain: () => [[`TVDB-${wanted}`, row.exit, row.category, row.title, row.fix]],
    render(page) {
      page.line(`TVDB-${wanted}  ${row.title}`);
      page.line(`fix    ${row.fix}`);
      page.line(`exit   ${row.exit}   ${row.category}`);
    },
  };
}
