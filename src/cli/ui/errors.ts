/** The one place that turns an error into text and into its JSON form. */
import { iso } from '../../base/clock.ts';
import { ERROR_CODES } from '../../base/error-codes.ts';
import type { TvdbError } from '../../base/errors.ts';
import { shortId } from '../../base/ids.ts';
import { usd } from './format.ts';
import { paintLine } from './paint.ts';
import { LABEL_COLUMN, type LineStyle, setLines } from './set-lines.ts';
import { accent, bad, dim, spans, type Text } from './text.ts';

export interface ErrorSetting extends LineStyle {
  readonly exitCode: number;
  readonly runId: string | undefined;
  /** With the stack. */
  readonly verbose: boolean;
}

/** What, why, fix, cost, docs and reference, label first, wrapped; only the what is red. Commands stay on one line to be pasted. */
export function errorText(error: TvdbError, setting: ErrorSetting): string {
  const out: string[] = [];
  const put = (label: Text, parts: Text, hang = LABEL_COLUMN) => {
    out.push(...setLines([label, parts], setting, hang));
  };
  const command = (label: string, line: string) =>
    out.push(paintLine(spans([column(label), accent(line)]), setting.paint));

  put(bad(column('error')), [`${error.label}  `, error.message], LABEL_COLUMN);
  for (const { name, reason } of items(error)) put('         ', [name, '   ', reason], 11);
  if (error.why !== undefined) put(dim(column('why')), error.why);
  const fixes = error.fix === '' ? [] : [error.fix];
  for (const [i, text] of fixes.entries()) put(dim(column(i === 0 ? 'fix' : '')), text);
  for (const [i, line] of error.commands.entries()) command(fixes.length + i === 0 ? 'fix' : '', line);
  const cost = costText(error);
  if (cost !== null) put(dim(column('cost')), cost);
  put(dim(column('docs')), docs(error));
  put(dim(column('ref')), reference(error, setting).join('   '));
  if (setting.verbose) {
    for (const line of stackLines(error)) put('       ', dim(line), 11);
  }
  return `${out.join('\n')}\n`;
}

function column(label: string): string {
  return label.padEnd(LABEL_COLUMN);
}

/** What was and was not charged; silence would read as "maybe", so it is only silent where no paid service was near. */
function costText(error: TvdbError): string | null {
  const charged = error.chargedNanoUsd;
  if (charged === undefined) return null;
  if (charged === null) return 'What was charged is unknown; it is counted as spent until that is known.';
  if (charged === 0) return 'Nothing was charged.';
  const resume = factNumber(error, 'resume_costs_nano_usd');
  return `${usd(charged)} was spent and kept${resume === null ? '' : `; resuming costs about ${usd(resume)}`}`;
}

function docs(error: TvdbError): string {
  const command = factText(error, 'command');
  if (error.category === 'usage' && command !== null) return command === '' ? 'tvdb --help' : `tvdb ${command} --help`;
  return `tvdb help errors ${error.code}`;
}

function reference(error: TvdbError, { runId, exitCode }: ErrorSetting): string[] {
  const job = factText(error, 'correlation_id') ?? factText(error, 'job_id') ?? factText(error, 'run_id') ?? runId;
  const upstream = factText(error, 'upstream_id') ?? factText(error, 'request_id');
  return [...(job === undefined ? [] : [shortId(job)]), ...(upstream === null ? [] : [upstream]), `exit ${exitCode}`];
}

function stackLines(error: TvdbError): string[] {
  const lines: string[] = [];
  const seen = new Set<unknown>();
  for (let one: unknown = error; one instanceof Error && !seen.has(one); one = one.cause) {
    seen.add(one);
    lines.push(
      ...(one.stack ?? String(one))
        .split('\n')
        .map((line, i) => (i === 0 && lines.length > 0 ? `caused by ${line}` : line)),
    );
  }
  return lines;
}

/** Things that failed for the same reason, under one header: `facts.items`. */
function items(error: TvdbError): { name: string; reason: string }[] {
  const list = error.facts.items;
  if (!Array.isArray(list)) return [];
  return list.map((item: { name?: unknown; reason?: unknown }) => ({
    name: String(item.name ?? ''),
    reason: String(item.reason ?? ''),
  }));
}

function factText(error: TvdbError, key: string): string | null {
  const value = error.facts[key];
  return typeof value === 'string' ? value : null;
}

function factNumber(error: TvdbError, key: string): number | null {
  const value = error.facts[key];
  return typeof value === 'number' ? value : null;
}

/** The `error` object of the JSON envelope; every key is always there. */
export function errorJson(error: TvdbError, runId: string | undefined): Record<string, unknown> {
  const { run_id, upstream_id, request_id, resume_costs_nano_usd, resets_at: resets, ...facts } = error.facts;
  return {
    code: error.label,
    category: ERROR_CODES[error.code].category,
    message: error.message,
    why: error.why ?? null,
    fix: { text: error.fix, commands: [...error.commands] },
    docs: docs(error),
    run_id: run_id ?? runId ?? null,
    upstream_id: upstream_id ?? request_id ?? null,
    retryable: error.retry.kind !== 'never',
    retry_after_ms: error.retry.kind === 'after' ? error.retry.ms : null,
    charged_nano_usd: error.chargedNanoUsd ?? null,
    resume_costs_nano_usd: resume_costs_nano_usd ?? null,
    facts: {
      ...facts,
      ...(resets !== undefined && { resets_at: typeof resets === 'number' ? iso(resets) : (resets ?? null) }),
    },
  };
}
