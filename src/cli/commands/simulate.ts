/** `tvdb simulate`: LlamaCloud and OpenAI on this machine, for free, with faults on demand. */
import { resolve } from 'node:path';
import { defineCommand } from '../command.ts';

export const simulateCommand = defineCommand({
  name: 'simulate',
  summary: 'simulate LlamaCloud and OpenAI on this machine, to try real mode for free',
  description:
    'Speaks the API of both services on 127.0.0.1, reads PDFs with the local reader, and keeps a log and a bill of its own. ' +
    'Runs until Ctrl-C. Everything is forgotten when it ends.\n\n' +
    'Faults: target=action[:param] separated by commas; behind each xN for the next N times, * always, ~0.05 at that rate ' +
    '(seeded), nothing for once. Targets: files, parse or embeddings, one call of them (files.create, files.list, parse.create, parse.get, ' +
    'parse.result, parse.list, parse.cancel, models, batches), llama, openai, any, and job, webhook or batch for what ' +
    'happens after it was accepted. :accepted and :refused say whether the work is done before the fault strikes; "..." quotes a value.\n\n' +
    'Answers: a status such as 500 or 429:retry-after=2 (:html, :echo, :message=...), quota, rate, delay:2s, hang, ' +
    'hang-before, cut, cut-before, stall, drip:1s, truncated, malformed, html, html:502, wrong-shape, huge:mb=64, redirect:to=...; ' +
    'parse.create=duplicate and batches.create=duplicate make two of one call.\n\n' +
    'Embeddings: reorder, missing-index, duplicate-index, missing-row, short-vector, wrong-dims, nan, zero, not-unit, floats, wrong-model.\n\n' +
    'Job (rules of different kinds hit the same job): failed:TIMEOUT (:billed, :cached), stuck, stuck-running, slow:10m, gone, hidden:30s, credits-null:20, credits-zero:20, ' +
    'credits:45, failed-pages:2+5, missing-pages:3, empty-pages:1, long-pages:1, cancel-refused, cancel-billed.\n\n' +
    'Webhook (the same): missing, early, premature, late:5s, duplicate:3, reorder, forged, old-secret, unsigned, uppercase, huge.\n\n' +
    'Batch: invalid, expired:0.5, row-errors:1, unanswered:1, frozen.\n\n' +
    'While it runs: GET /_control/log and /_control/bill; POST /_control/faults with such a text (GET lists, DELETE forgets); ' +
    'POST /_control/keys with {"accepted": [...], "refused": [...]}; POST /_control/reset.',
  args: [],
  options: [
    {
      name: 'port',
      value: 'integer',
      valueName: 'n',
      min: 0,
      max: 65_535,
      summary: 'listen there (default: any free port)',
      common: true,
    },
    { name: 'faults', value: 'text', valueName: 'text', summary: 'what goes wrong, see above', common: true },
    {
      name: 'latency',
      value: 'text',
      valueName: 'text',
      summary: 'how long work takes (default parse=2s,page=150ms,embed=150ms,batch=10s)',
    },
    { name: 'log', value: 'path', valueName: 'file', summary: 'append every request to this file, as JSON lines' },
    { name: 'seed', value: 'integer', valueName: 'n', min: 0, summary: 'for faults at a rate (default 1)' },
    { name: 'list-faults', summary: 'print every kind of fault with what it does, and start nothing' },
    { name: 'lagging', summary: 'refuse webhook secrets and user metadata, as an older region does' },
    {
      name: 'free-tier',
      summary: 'allow 20 LlamaCloud requests a minute, as the free plan does',
    },
  ],
  examples: [
    ['tvdb simulate', 'print the addresses and wait'],
    ['tvdb simulate --port 4010 --faults "parse.create=500x2,embeddings=429:retry-after=2"', 'with trouble'],
    [
      'tvdb simulate --faults "parse.create=cut,job=credits-null:3*,webhook=missing*"',
      'accepted, but the answer is lost',
    ],
  ],
  needs: 'config',
  exitCodes: [0, [1, 'the port cannot be listened on'], 2, 4],
  json: 'tvdb.simulate/v1',
  ndjson: false,
  stopIsSuccess: true,
  async handler({ options }, ctx) {
    if (options.listFaults) return (await import('./simulate-view.ts')).faultsResult();
    const { serve } = await import('./simulate-serve.ts');
    return serve(ctx, {
      port: options.port ?? 0,
      faults: options.faults ?? '',
      latency: options.latency ?? '',
      logFile: options.log === undefined ? undefined : resolve(ctx.cwd, options.log),
      seed: options.seed ?? 1,
      lagging: options.lagging,
      freeTier: options.freeTier,
    });
  },
});
