/** What `tvdb simulate` prints: where it is when it starts, what it would have charged when it ends. */
import { FAULT_ACTIONS } from '../../simulator/fault-actions.ts';
import type { Latency } from '../../simulator/options.ts';
import type { Simulator } from '../../simulator/simulator.ts';
import type { CommandResult } from '../command.ts';
import { plural } from '../ui/format.ts';
import { accent, dim, strong } from '../ui/text.ts';
import type { Page } from '../ui/ui.ts';
import type { SimulateFlags } from './simulate-serve.ts';

/** Keys that the simulator lets in; they open nothing anywhere else. */
const LLAMA_KEY = 'llx-simulated';
const OPENAI_KEY = 'sk-simulated';

/** The answer of the command, printed as soon as it listens. */
export function startResult(simulator: Simulator, latency: Latency, flags: SimulateFlags): CommandResult {
  const { llamaUrl, openaiUrl } = simulator;
  // One variable a line: two would be wider than 80 columns, and a wrapped line cannot be pasted.
  const lines = [
    `LLAMA_CLOUD_BASE_URL=${llamaUrl}`,
    `OPENAI_BASE_URL=${openaiUrl}`,
    `LLAMAPARSE_API_KEY=${LLAMA_KEY}`,
    `OPENAI_API_KEY=${OPENAI_KEY}`,
  ].map((assignment) => `export ${assignment}`);
  return {
    data: {
      llama_cloud_base_url: llamaUrl,
      openai_base_url: openaiUrl,
      llamaparse_api_key: LLAMA_KEY,
      openai_api_key: OPENAI_KEY,
      control_url: `${simulator.url}/_control`,
      faults: flags.faults === '' ? null : flags.faults,
      latency: { parse_ms: latency.parse, page_ms: latency.page, embed_ms: latency.embed, batch_ms: latency.batch },
      seed: flags.seed,
      log_file: flags.logFile ?? null,
    },
    render(page) {
      page.field('LlamaCloud', strong(llamaUrl));
      page.field('OpenAI', strong(openaiUrl));
      page.field('Control', `${simulator.url}/_control`);
      if (flags.faults !== '') page.field('Faults', flags.faults);
      if (flags.logFile !== undefined) page.field('Log', flags.logFile);
      page.blank();
      page.line(dim('In another terminal, to use it instead of the real services:'));
      for (const line of lines) page.line('  ', accent(line));
      page.line(dim('Ctrl-C ends it.'));
    },
    plain: () => [
      ['llamaparse', llamaUrl],
      ['openai', openaiUrl],
    ],
    quiet: () => lines,
  };
}

/** Every kind of fault, for `--list-faults`. */
export function faultsResult(): CommandResult {
  const status = '200 to 599, without the work (:accepted with it, :retry-after=…, :html, :echo, :message=…)';
  const faults = [
    { target: 'any', action: '500', effect: status },
    ...Object.entries(FAULT_ACTIONS).flatMap(([target, actions]) =>
      Object.entries(actions).map(([action, effect]) => ({ target: TARGETS[target] ?? target, action, effect })),
    ),
  ];
  return {
    data: { fault_kinds: faults },
    render: (page) =>
      page.table({
        columns: [{ head: 'TARGET' }, { head: 'FAULT' }, { head: 'WHAT HAPPENS', flex: true }],
        rows: faults.map(({ target, action, effect }) => [target, action, effect]),
      }),
    plain: () => faults.map(({ target, action, effect }) => [target, action, effect]),
    quiet: () => faults.map(({ target, action }) => `${target}=${action}`),
  };
}

/** How a group of faults is written in front of the `=`. */
const TARGETS: Readonly<Record<string, string>> = { answer: 'any', create: 'parse.create' };

/** The bill, as a note when it ends. */
export function billResult(page: Page, simulator: Simulator | undefined): void {
  if (simulator === undefined) return;
  const { credits, tokens, nanoUsd, jobs } = simulator.bill();
  const usd = (nanoUsd / 1e9).toFixed(6);
  page.field(
    'Bill',
    `${plural(simulator.log().length, 'request')}, ${plural(jobs.length, 'parse job')}, ${plural(credits, 'credit')}, `,
    `${plural(tokens, 'token')}: $${usd} that nobody pays`,
  );
}
