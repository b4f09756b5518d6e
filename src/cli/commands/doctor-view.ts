/** `doctor` on a screen, in a pipe and as JSON. */
import { TvdbError } from '../../base/errors.ts';
import { CHECK_GROUPS, CHECK_IDS, checkRow } from '../../pipeline/checks/catalogue.ts';
import type { CheckStatus } from '../../pipeline/checks/check.ts';
import type { Examined, RepairOutcome } from '../../pipeline/checks/examine.ts';
import type { CommandResult, ExitCode } from '../command.ts';
import { duration, plural } from '../ui/format.ts';
import { accent, dim } from '../ui/text.ts';
import type { Page } from '../ui/ui.ts';

export interface DoctorAnswer {
  readonly found: readonly Examined[];
  /** `null` without `--fix`. */
  readonly repairs: readonly RepairOutcome[] | null;
  readonly ms: number;
  readonly exitCode: ExitCode;
}

const STATUSES = ['ok', 'warn', 'fail', 'skip'] as const satisfies readonly CheckStatus[];
/** Names of checks stand in a column of this width. */
const NAME_COLUMN = 15;

/** The whole answer of the command. */
export function doctorResult(answer: DoctorAnswer): CommandResult {
  const { found, repairs, ms, exitCode } = answer;
  const counts = Object.fromEntries(
    STATUSES.map((status) => [status, found.filter((one) => one.status === status).length]),
  );
  const failed = found.filter(({ status }) => status === 'fail');
  return {
    exitCode,
    data: {
      counts,
      ms: Math.round(ms),
      checks: found.map(checkJson),
      repairs:
        repairs === null ? null : repairs.map(({ id, text, error }) => ({ id, text, done: error === null, error })),
    },
    ...(failed.length > 0 && { error: failure(failed) }),
    render: (page) => doctorPage(page, answer),
    plain: () => found.map((one) => [one.id, one.status, one.detail, fixText(one)]),
    quiet: () => failed.map(({ id }) => id),
  };
}

function checkJson({ id, group, status, ms, detail, why, fix, repair }: Examined): Record<string, unknown> {
  return {
    id,
    group: group.toLowerCase(),
    status,
    ms,
    detail,
    why: why ?? null,
    fix: fix === undefined ? null : { text: fix.text, commands: fix.commands },
    fixable: repair !== undefined,
    docs: 'tvdb help doctor',
  };
}

function failure(failed: readonly Examined[]): TvdbError {
  return new TvdbError('E110', {
    message: `${plural(failed.length, 'check')} failed`,
    facts: { items: failed.map(({ id, detail }) => ({ name: id, reason: detail })) },
  });
}

/** What to do, in one cell; `null` when nothing is to be done. */
function fixText({ status, fix }: Examined): string | null {
  if (fix === undefined || status === 'ok') return null;
  return [fix.text, ...fix.commands].filter((part) => part !== '').join('; ');
}

function doctorPage(page: Page, { found, repairs, ms }: DoctorAnswer): void {
  for (const group of CHECK_GROUPS) {
    const here = found.filter((one) => one.group === group);
    if (here.length > 0)
      page.heading(`${group}${group === 'Providers' ? ' (free endpoints only, nothing charged)' : ''}`);
    for (const { id, status, detail, why, fix } of here) {
      page.status(status, id.padEnd(NAME_COLUMN), ' ', detail);
      if (why !== undefined) page.line('          ', dim('why  '), why);
      if (fix !== undefined && status !== 'ok') {
        page.line('          ', dim('fix  '), fix.text);
        for (const command of fix.commands) page.line('               ', accent(command));
      }
    }
  }
  for (const { id, text, error } of repairs ?? [])
    page.status(error === null ? 'ok' : 'fail', `fixed ${id}: `, error === null ? text : `${text}: ${error}`);
  page.blank();
  const counts = STATUSES.map((status) => `${found.filter((one) => one.status === status).length} ${status}`);
  page.line(`${counts.join('  ')}   `, dim(duration(ms)));
}

/** What `--list-checks` prints. */
export function listResult(): CommandResult {
  const rows = CHECK_IDS.map((id) => ({ id, ...checkRow(id) }));
  return {
    data: {
      checks: rows.map(({ id, group, summary, onRequest }) => ({
        id,
        group: group.toLowerCase(),
        summary,
        on_request: onRequest === true,
      })),
    },
    plain: () => rows.map(({ id, group, summary }) => [id, group.toLowerCase(), summary]),
    quiet: () => CHECK_IDS,
    render: (page) => {
      for (const group of CHECK_GROUPS) {
        page.heading(group);
        for (const { id, summary, onRequest } of rows.filter((row) => row.group === group)) {
          page.line(`  ${id.padEnd(NAME_COLUMN)} `, summary, onRequest === true ? dim('  (only when named)') : '');
        }
      }
    },
  };
}
