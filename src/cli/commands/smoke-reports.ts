/** Where else the result of `smoke` goes: a JUnit file, the step summary and the outputs of GitHub Actions. */
import { appendFileSync, statSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { TvdbError } from '../../base/errors.ts';
import { decimalUsd } from '../../domain/money.ts';
import type { CommandContext } from '../command.ts';
import { display } from '../ui/display.ts';
import { duration, usd } from '../ui/format.ts';
import type { SmokeAnswer } from './smoke-work.ts';

interface Reports {
  /** As typed. */
  readonly junit: string | undefined;
  readonly githubOutput: boolean;
  /** In GitHub Actions, and not opted out of. */
  readonly github: boolean;
}

/** GitHub drops the summary of a step as a whole above 1 MiB. */
const LARGEST_SUMMARY = 1_048_576;

/** Writes what was asked for. Throws E109 for a file that cannot be written. */
export function writeReports(
  answer: SmokeAnswer,
  { junit, githubOutput, github }: Reports,
  ctx: Pick<CommandContext, 'env' | 'cwd' | 'ui'>,
): void {
  const { env, cwd } = ctx;
  if (junit !== undefined) write(resolve(cwd, junit), (path) => writeFileSync(path, junitXml(answer)));
  const summary = env.GITHUB_STEP_SUMMARY ?? '';
  if (github && summary !== '') write(summary, (path) => appendSummary(path, summaryText(answer)));
  if (!githubOutput) return;
  const output = env.GITHUB_OUTPUT ?? '';
  if (output === '') {
    ctx.ui.warn({ code: 'TVDB-W312', message: '--github-output was given, but GITHUB_OUTPUT names no file' });
    return;
  }
  const { runId, verdict, costNanoUsd } = answer;
  const lines = [
    `run_id=${verdict === 'skip' ? '' : runId}`,
    `status=${verdict}`,
    `cost_usd=${decimalUsd(costNanoUsd)}`,
  ];
  write(output, (path) => appendFileSync(path, `${lines.join('\n')}\n`));
}

function write(path: string, to: (path: string) => void): void {
  try {
    to(path);
  } catch (cause) {
    throw new TvdbError('E109', {
      message: `${path} could not be written`,
      why: cause instanceof Error ? cause.message : String(cause),
      cause,
    });
  }
}

/** Other steps of the job write to the same file: what is there already counts. */
function appendSummary(path: string, text: string): void {
  const before = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  const room = LARGEST_SUMMARY - before - 1;
  if (room <= 0) return;
  const bytes = Buffer.from(text);
  // Cut at a whole character.
  const cut =
    bytes.length <= room
      ? text
      : bytes
          .subarray(0, room)
          .toString('utf8')
          .replace(/\uFFFD+$/, '');
  appendFileSync(path, cut);
}

/** Markdown: the verdict, and the steps folded unless one failed. */
function summaryText({ verdict, mode, steps, ms, costNanoUsd, provisional, runId, error }: SmokeAnswer): string {
  const ok = steps.filter(({ status }) => status === 'ok').length;
  const rows = steps.map(
    ({ id, status, ms: took, nanoUsd, detail }) =>
      `| ${id} | ${status} | ${took === null ? '' : duration(took)} | ${nanoUsd === null ? '' : usd(nanoUsd)} | ${cell(detail)} |`,
  );
  return [
    `### tvdb smoke: ${verdict}`,
    '',
    `mode \`${mode}\`, ${ok} of ${steps.length} steps, ${duration(ms)}, ${usd(costNanoUsd)}${provisional ? ' (provisional)' : ''}, run \`${runId}\`; ledger: this machine only`,
    ...(error === null ? [] : ['', `**${error.label}** ${cell(error.message)}`]),
    '',
    `<details${verdict === 'fail' ? ' open' : ''}><summary>Steps</summary>`,
    '',
    '| step | status | time | cost | |',
    '| --- | --- | --- | --- | --- |',
    ...rows,
    '',
    '</details>',
    '',
    '',
  ].join('\n');
}

function cell(text: string): string {
  return display(text).replace(/[|<>`\\]/g, (char) => `&#${char.charCodeAt(0)};`);
}

/** One test case for each step. */
function junitXml({ steps, ms, mode }: SmokeAnswer): string {
  const count = (status: string) => steps.filter((step) => step.status === status).length;
  const cases = steps.map(({ id, status, ms: took, detail, error }) => {
    const head = `    <testcase classname="tvdb.smoke.${xml(mode)}" name="${id}" time="${seconds(took ?? 0)}"`;
    if (status === 'ok') return `${head}/>`;
    if (status === 'skip') return `${head}><skipped message="${xml(detail)}"/></testcase>`;
    const text = xml([error?.message ?? detail, error?.why ?? ''].filter((part) => part !== '').join('\n'));
    return `${head}><failure type="${xml(error?.label ?? 'failure')}" message="${xml(error?.message ?? detail)}">${text}</failure></testcase>`;
  });
  const totals = `tests="${steps.length}" failures="${count('fail')}" errors="0" skipped="${count('skip')}" time="${seconds(ms)}"`;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites ${totals}>`,
    `  <testsuite name="tvdb smoke" ${totals}>`,
    ...cases,
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(3);
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', '\n': '&#10;' };

/** Text for an attribute or an element. XML has no way at all to write most control characters: they are shown as escapes. */
function xml(text: string): string {
  return display(text, '\n').replace(/[&<>"\n]/g, (char) => ENTITIES[char] ?? char);
}
