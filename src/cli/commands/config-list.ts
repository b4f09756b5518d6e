/** `tvdb config list`: every setting, its value, where it came from and what it hides. Writes nothing. */
import { TvdbError } from '../../base/errors.ts';
import type { Config } from '../../config/load.ts';
import type { VariableName } from '../../config/variables.ts';
import { type CommandResult, defineCommand, defineGroup } from '../command.ts';
import { bad, dim } from '../ui/text.ts';
import type { Page } from '../ui/ui.ts';

export const configGroup = defineGroup('config', 'show the settings');

export const configListCommand = defineCommand({
  name: 'config list',
  summary: 'every setting with its value and where it came from',
  description:
    'Precedence: flags, the environment, .env.tvdb001, then .env (or --env-file) in the working directory, the user configuration, defaults. ' +
    'Of keys only the last characters are shown. A setting that is not valid is listed as it was written, with what is wrong (exit 4).',
  args: [],
  options: [{ name: 'set', summary: 'only settings that are not at their default' }],
  examples: [
    ['tvdb config list', 'all settings'],
    ['tvdb config list --set', 'what this machine changed'],
  ],
  needs: 'config',
  badConfig: 'shown',
  exitCodes: [0, 2, 4],
  json: 'tvdb.config/v1',
  ndjson: false,
  async handler({ options }, ctx) {
    const all = await settingsOf(ctx.config);
    return answer(options.set ? all.filter(({ source }) => source !== 'default') : all, ctx.config);
  },
});

interface Setting {
  readonly name: VariableName;
  readonly group: string;
  /** As it would be written; a secret only as `set, ends 9f3c`; `null` when it is unset. */
  readonly value: string | null;
  readonly secret: boolean;
  readonly source: string;
  /** The source as people read it. */
  readonly from: string;
  readonly shadowed: readonly { readonly source: string; readonly value: string }[];
  /** Why the value is not valid; `null` when it is. */
  readonly error: string | null;
  readonly doc: string;
}

async function settingsOf({ settings, sources, problems }: Config): Promise<Setting[]> {
  const [{ VARIABLES }, { sourceText }, { isSecret, secretText, sourceName, valueText }] = await Promise.all([
    import('../../config/variables.ts'),
    import('../../config/load.ts'),
    import('./setting-source.ts'),
  ]);
  return (Object.keys(VARIABLES) as VariableName[]).map((name) => {
    const { source, shadowed } = sources[name];
    const secret = isSecret(name);
    const problem = problems.find(({ setting }) => setting === name);
    const written = problem?.text === undefined ? undefined : secret ? secretText(problem.text) : problem.text;
    return {
      name,
      group: VARIABLES[name].group,
      value: written ?? valueText(name, settings),
      secret,
      source: sourceName(source, name),
      from: sourceText(source),
      shadowed: shadowed.map((one) => ({
        source: sourceName(one.source, name),
        value: secret ? secretText(one.text) : one.text,
      })),
      error: problem?.error.message ?? null,
      doc: VARIABLES[name].doc,
    };
  });
}

function answer(settings: readonly Setting[], config: Config): CommandResult {
  const error = errorOf(config);
  return {
    ...(error !== undefined && { error }),
    data: {
      home: config.home,
      preferences_file: config.preferencesFile,
      settings: settings.map(({ from, ...setting }) => setting),
    },
    render: (page) => configPage(page, settings, config),
    plain: () => settings.map(({ name, value, source, error }) => [name, value, source, error]),
    quiet: () => settings.map(({ name }) => name),
  };
}

/** One problem as it is; several as one error that lists them. */
function errorOf({ problems }: Config): TvdbError | undefined {
  const [first, ...others] = problems;
  if (first === undefined || others.length === 0) return first?.error;
  return new TvdbError(problems.some(({ error }) => error.code === 'E103') ? 'E103' : first.error.code, {
    message: `${problems.length} things in the configuration are not valid`,
    facts: {
      items: problems.map(({ error, setting }) => ({
        name: setting ?? error.label,
        reason: [error.message, ...(error.why === undefined ? [] : [error.why])].join('; '),
      })),
    },
  });
}

function configPage(page: Page, settings: readonly Setting[], { home, preferencesFile }: Config): void {
  page.field('Home', home);
  page.field('Saved in', preferencesFile);
  for (const group of new Set(settings.map((setting) => setting.group))) {
    page.blank();
    page.heading(group);
    page.table({
      columns: [{ head: 'SETTING' }, { head: 'VALUE', flex: true }, { head: 'FROM', flex: true }],
      rows: settings
        .filter((setting) => setting.group === group)
        .map(({ name, value, secret, from, source, error }) => {
          const quiet = error !== null ? bad : source === 'default' ? dim : String;
          return [name, value === null ? dim(secret ? 'not set' : '-') : quiet(value), quiet(from)];
        }),
    });
  }
  const wrong = settings.flatMap(({ error }) => error ?? []);
  if (wrong.length > 0) page.blank();
  for (const error of wrong) page.status('fail', error);
  const hidden = settings.filter(({ shadowed }) => shadowed.length > 0);
  if (hidden.length > 0) page.blank();
  for (const { name, shadowed, from } of hidden) {
    for (const { source, value } of shadowed) page.status('warn', `${name}=${value} in ${source} is hidden by ${from}`);
  }
}
