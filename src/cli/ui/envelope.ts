/** The JSON document of `--json`: the same envelope for every command, on success, on failure and when there is nothing. */
import { iso } from '../../base/clock.ts';
import { TvdbError } from '../../base/errors.ts';
import { closest } from '../suggest.ts';
import { VERSION } from '../version.ts';
import { errorJson } from './errors.ts';
import type { Warning } from './ui.ts';

export interface Outcome {
  readonly schema: string;
  readonly at: number;
  readonly exitCode: number;
  readonly data: object | null;
  readonly warnings: readonly Warning[];
  readonly error: TvdbError | undefined;
  readonly runId: string | undefined;
}

/** The envelope as an object; `ok` is whether the exit code is 0. */
export function envelope(outcome: Outcome): Record<string, unknown> {
  return {
    schema: outcome.schema,
    tvdb: VERSION,
    generated_at: iso(outcome.at),
    ok: outcome.exitCode === 0,
    exit_code: outcome.exitCode,
    data: outcome.data,
    warnings: outcome.warnings,
    error: outcome.error === undefined ? null : errorJson(outcome.error, outcome.runId),
  };
}

/**
 * `data` cut down to `fields`. A field is a key of `data`, or a key of the rows of a list in `data`; a list with no row
 * that has one of the fields is left out unless it is named itself. Throws E005 for a field that is in neither place.
 */
export function selectFields(data: object, fields: readonly string[]): Record<string, unknown> {
  const entries = Object.entries(data);
  const known = new Set<string>(Object.keys(data));
  let hasEmptyList = false;
  for (const [, value] of entries) {
    if (!Array.isArray(value)) continue;
    hasEmptyList ||= value.length === 0;
    for (const row of value) if (isRecord(row)) for (const key of Object.keys(row)) known.add(key);
  }
  for (const field of fields) if (!known.has(field) && !hasEmptyList) throw unknownField(field, [...known]);

  const chosen: Record<string, unknown> = {};
  for (const [key, value] of entries) {
    if (fields.includes(key)) chosen[key] = value;
    else if (
      Array.isArray(value) &&
      (value.length === 0 || value.some((row) => isRecord(row) && fields.some((field) => field in row)))
    ) {
      chosen[key] = value.map((row) =>
        isRecord(row) ? Object.fromEntries(fields.filter((f) => f in row).map((f) => [f, row[f]])) : row,
      );
    }
  }
  return chosen;
}

function unknownField(field: string, known: readonly string[]): TvdbError {
  const guess = closest(field, known);
  return new TvdbError('E005', {
    message: `Unknown field "${field}".${guess === undefined ? '' : ` Did you mean "${guess}"?`}`,
    why: `--fields takes ${known.join(', ')}`,
    fix: guess === undefined ? 'use one of these fields' : `use ${guess}`,
    facts: { flag: '--fields', value: field, choices: known },
  });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
