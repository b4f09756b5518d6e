/** Small commands that show one behaviour each; they exist only in tests. */
import { TvdbError } from '../../src/base/errors.ts';
import { type CommandDefinition, type CommandResult, defineCommand, defineGroup } from '../../src/cli/command.ts';
import { help } from '../../src/cli/commands/help.ts';

const BASICS = { examples: [], needs: 'nothing', exitCodes: [0], json: 'tvdb.sample/v1', ndjson: false } as const;

/** A command whose handler is given by the test. */
export function sample(
  name: string,
  handler: CommandDefinition['handler'],
  more: Partial<CommandDefinition> = {},
): CommandDefinition {
  return { ...BASICS, name, summary: `Sample ${name}`, args: [], options: [], ...more, handler } as CommandDefinition;
}

/** A command that answers with fixed parts. */
export function answers(name: string, result: CommandResult, more: Partial<CommandDefinition> = {}): CommandDefinition {
  return sample(name, async () => result, more);
}

/** Shows the input it got. */
export const upload = defineCommand({
  ...BASICS,
  name: 'upload',
  summary: 'Accept documents',
  args: [{ name: 'paths', summary: 'files', value: 'path', repeat: true }],
  options: [
    {
      name: 'mode',
      short: 'm',
      value: ['mock', 'real', 'hybrid'],
      summary: 'which services',
      common: true,
      setting: 'SERVICE_MODE',
    },
    { name: 'max-cost', value: 'money', summary: 'run cap' },
    { name: 'tag', value: 'pair', repeat: true, summary: 'label' },
    { name: 'no-wait', summary: 'return at once' },
    { name: 'yes', short: 'y', summary: 'consent' },
    { name: 'timeout', value: 'duration', summary: 'longest wait', excludes: ['no-wait'] },
    { name: 'since', value: 'time', summary: 'only newer' },
    { name: 'top', short: 'k', value: 'integer', min: 1, max: 100, summary: 'how many' },
    { name: 'open', value: 'text', optionalValue: true, summary: 'open it' },
    { name: 'no-open', summary: 'do not open it' },
  ],
  examples: [['tvdb upload file.pdf', 'one document']],
  exitCodes: [0, 1, [7, 'some documents done, some not']],
  async handler({ args, options }, ctx) {
    return { data: { args, options, cwd: ctx.cwd, verbose: ctx.globals.verbose }, quiet: () => args.paths.map(String) };
  },
});

export const COMMANDS: readonly CommandDefinition[] = [
  upload,
  answers(
    'status',
    {
      data: {
        jobs: [
          { job_id: 'j1', status: 'complete', cost: 1 },
          { job_id: 'j2', status: 'failed', cost: 2 },
        ],
        overall: 'warn',
      },
      plain: () => [
        ['j1', 'complete'],
        ['j2', null],
      ],
      quiet: () => ['j1', 'j2'],
      render: (page) =>
        page.table({
          columns: [{ head: 'JOB' }, { head: 'STATUS' }],
          rows: [
            ['j1', 'complete'],
            ['j2', 'failed'],
          ],
        }),
      next: 'tvdb trace j2',
    },
    { ndjson: true },
  ),
  defineGroup('alerts', 'Alerts'),
  answers('alerts list', { data: {} }),
  answers('alerts ack', { data: {} }, { args: [{ name: 'id', summary: 'alert', value: 'id' }] }),
  answers('script', { data: {}, text: 'script' }, { json: null }),
  sample(
    'fail',
    async () => {
      throw new TvdbError('E405', {
        message: 'The PDF is damaged',
        why: 'no trailer',
        chargedNanoUsd: 0,
        facts: { job_id: 'abcdef0123456789' },
      });
    },
    { ndjson: true },
  ),
  sample('bug', async () => {
    throw new TypeError('Cannot read properties of undefined');
  }),
  help,
];
