/** `smoke` on a screen, in a pipe and as JSON: each step, and the verdict. */
import { EXIT } from '../../base/error-codes.ts';
import { storedError } from '../../base/errors.ts';
import { shortId } from '../../base/ids.ts';
import { decimalUsd } from '../../domain/money.ts';
import type { CommandResult, ExitCode } from '../command.ts';
import { duration, usd } from '../ui/format.ts';
import type { Annotation } from '../ui/github.ts';
import { bad, dim, good, strong, type Text, warn } from '../ui/text.ts';
import type { Page, Ui } from '../ui/ui.ts';
import { budgetJson } from './consent.ts';
import { moneyJson } from './job-view.ts';
import type { SmokeStep } from './smoke-steps.ts';
import type { SmokeAnswer } from './smoke-work.ts';

/** The answer of the command. In GitHub Actions a skip is a notice, and each step that failed an annotation. */
export function smokeResult(
  answer: SmokeAnswer,
  { github, ui }: { github: boolean; ui: Pick<Ui, 'note' | 'format'> },
): CommandResult {
  const { verdict, error, runId } = answer;
  if (ui.format === 'plain') ui.note((page) => page.line(verdictLine(answer)));
  const skipped = { title: 'tvdb smoke', message: `skipped: ${error?.message ?? 'a key is missing'}` };
  const failed = answer.steps.flatMap(({ id, error: one }): Annotation[] =>
    one === null ? [] : [{ title: `${one.label} smoke ${id}`, message: one.message }],
  );
  return {
    exitCode: exitOfSmoke(answer),
    data: smokeJson(answer),
    ...(verdict === 'fail' && error !== null && { error }),
    annotations: github ? failed : [],
    notices: verdict === 'skip' && github ? [skipped] : [],
    render: (page) => smokePage(page, answer),
    plain: () =>
      answer.steps.map(({ id, status, ms, nanoUsd, detail }) => [
        id,
        status,
        ms,
        nanoUsd === null ? null : decimalUsd(nanoUsd),
        detail,
      ]),
    quiet: () => [runId],
  };
}

/** 0 for a pass or a skip that was asked for; otherwise that of the first failure: a document that failed is an assertion. */
function exitOfSmoke({ verdict, error }: SmokeAnswer): ExitCode {
  if (verdict !== 'fail' || error === null) return EXIT.ok;
  return error.exit as ExitCode;
}

function smokePage(page: Page, answer: SmokeAnswer): void {
  for (const { id, status, ms, nanoUsd, detail } of answer.steps) {
    const time = ms === null ? '' : dim(`   ${duration(ms)}`);
    page.status(status, id.padEnd(10), ` ${detail}`, time, nanoUsd === null ? '' : `   ${usd(nanoUsd)}`);
  }
  page.line(verdictLine(answer));
}

/** `PASS   9 of 9   20.0s   $0.0038   3fa85f64`; `FAIL   4 of 9 at embed`. */
function verdictLine({ verdict, steps, ms, costNanoUsd, provisional, runId, error }: SmokeAnswer): Text {
  if (verdict === 'skip') return [warn('SKIP'), `   ${error?.message ?? 'a key is missing'}`];
  const ok = steps.filter(({ status }) => status === 'ok').length;
  const at = steps.find(({ status }) => status === 'fail');
  const word = verdict === 'pass' ? good('PASS') : bad('FAIL');
  const cost = `   ${usd(costNanoUsd)}${provisional ? ' provisional' : ''}`;
  return [
    word,
    strong(`   ${ok} of ${steps.length}${at === undefined ? '' : ` at ${at.id}`}`),
    `   ${duration(ms)}${cost}`,
    dim(`   ${shortId(runId)}`),
  ];
}

function smokeJson({ verdict, mode, runId, ms, money, costNanoUsd, provisional, steps }: SmokeAnswer): object {
  const { nano_usd, usd: dollars } = moneyJson(costNanoUsd);
  return {
    verdict,
    mode,
    run_id: verdict === 'skip' ? null : runId,
    ms,
    estimate: money && { likely_nano_usd: money.likelyNanoUsd, max_nano_usd: money.mostNanoUsd },
    consent: money && { by: money.consent.by, limit_nano_usd: money.consent.limitNanoUsd },
    budget: budgetJson(money?.budget ?? null),
    cost: { total_nano_usd: nano_usd, total_usd: dollars, provisional },
    ledger_scope: 'local',
    steps: steps.map(stepJson),
  };
}

function stepJson({ id, status, ms, nanoUsd, detail, assertions, error }: SmokeStep): object {
  return {
    id,
    status,
    ms,
    detail,
    nano_usd: nanoUsd,
    assertions: assertions.map(({ name, expected, actual, ok }) => ({ name, expected, actual, ok })),
    error: error && storedError(error),
  };
}
