/** Reads every setting once, in one order of precedence, into a frozen object that remembers where each came from. */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { parseEnv } from 'node:util';
import { TvdbError } from '../base/errors.ts';
import { preferencesDirectory, readPreferences } from './preferences.ts';
import { type Settings, VARIABLES, type VariableName } from './variables.ts';

/** Where a value came from. `file` names the .env file. */
export type Source =
  | { kind: 'flag'; name: string }
  | { kind: 'environment' }
  | { kind: 'file'; path: string }
  | { kind: 'preferences'; path: string }
  | { kind: 'default' };

export interface Config {
  readonly settings: Settings;
  /** Per setting: its source, and the sources it hides (same setting, lower precedence). */
  readonly sources: Readonly<Record<VariableName, { source: Source; shadowed: { source: Source; text: string }[] }>>;
  /** Absolute path of the tool's home directory. */
  readonly home: string;
  /** Where relative paths in settings are meant from. */
  readonly cwd: string;
  readonly preferencesDirectory: string;
  readonly preferencesFile: string;
  /** Values of all secret settings that are set, for the scrubber. */
  readonly secrets: readonly string[];
  /** What is wrong; empty in what `loadConfig` returns. A setting with a problem has its default as value. */
  readonly problems: readonly ConfigProblem[];
}

/** A file that cannot be read, or a setting that is not valid. */
export interface ConfigProblem {
  readonly error: TvdbError;
  /** `undefined` for a file. */
  readonly setting: VariableName | undefined;
  /** The text that is not valid; `undefined` for a file, and where a value is only wrong beside another one. */
  readonly text: string | undefined;
}

export interface LoadOptions {
  /** Settings given as flags, by variable name, with the flag's own name for messages. */
  flags?: Partial<Record<VariableName, { value: string; flag: string }>>;
  env: Record<string, string | undefined>;
  cwd: string;
  /** `--env-file`: read instead of `.env.tvdb001` and `.env` in `cwd`; must exist. */
  envFile?: string | undefined;
  /** `--config`: preferences file to use instead of the user's. */
  preferencesFile?: string | undefined;
}

const NAMES = Object.keys(VARIABLES) as VariableName[];
const ENV_FILES = ['.env.tvdb001', '.env'] as const;

/**
 * Loads the configuration. Precedence: flags > environment > `.env.tvdb001`, then `.env` (or `--env-file`) in the
 * working directory > user preferences > defaults. An empty value counts as unset. Throws E108 for a file that cannot be
 * read, E103 naming the setting and its source when a value is not valid (E003 for a flag); never prints a secret.
 */
export function loadConfig(options: LoadOptions): Config {
  const config = inspectConfig(options);
  const [first] = config.problems;
  if (first !== undefined) throw first.error;
  return config;
}

/** The same without throwing: for commands that show what is wrong. Files that cannot be read count as empty. */
export function inspectConfig(options: LoadOptions): Config {
  const { flags = {}, env, cwd } = options;
  const problems: ConfigProblem[] = [];
  const orEmpty = <T>(read: () => T, empty: T): T => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof TvdbError)) throw error;
      problems.push({ error, setting: undefined, text: undefined });
      return empty;
    }
  };
  const files = envFilePaths(cwd, options.envFile).flatMap((path) =>
    orEmpty(() => readEnvFile(path, options.envFile !== undefined), []),
  );
  const directory = preferencesDirectory(env);
  const preferencesFile = options.preferencesFile ?? join(directory, 'config.json');
  const preferences = orEmpty(
    () => readPreferences(preferencesFile, { mustExist: options.preferencesFile !== undefined }),
    {},
  );

  const settings: Partial<Record<VariableName, unknown>> = {};
  const sources = {} as Record<VariableName, Config['sources'][VariableName]>;
  for (const name of NAMES) {
    const flag = flags[name];
    const candidates: { source: Source; text: string | undefined }[] = [
      { source: { kind: 'flag', name: flag?.flag ?? '' }, text: flag?.value },
      { source: { kind: 'environment' }, text: env[name] },
      ...files.map(({ path, values }) => ({ source: { kind: 'file' as const, path }, text: values[name] })),
      { source: { kind: 'preferences', path: preferencesFile }, text: preferences[name] },
      { source: { kind: 'default' }, text: VARIABLES[name].default },
    ];
    const given = candidates.filter((one): one is { source: Source; text: string } => (one.text ?? '') !== '');
    const [winner, ...rest] = given;
    settings[name] = winner === undefined ? undefined : parse(name, winner, problems);
    sources[name] = {
      source: winner?.source ?? { kind: 'default' },
      shadowed: rest.filter(({ source }) => source.kind !== 'default'),
    };
  }
  const values = settings as unknown as Settings;
  checkTogether(values, problems);
  return Object.freeze({
    settings: Object.freeze(values),
    sources,
    home: homeDirectory(values.TVDB_HOME, env, cwd),
    cwd,
    preferencesDirectory: directory,
    preferencesFile,
    secrets: NAMES.filter((name) => 'secret' in VARIABLES[name] && VARIABLES[name].secret).flatMap((name) => {
      const value = values[name];
      return typeof value === 'string' ? [value] : [];
    }),
    problems,
  });
}

/** The value; what is not valid becomes a problem and counts as its default. */
function parse(
  name: VariableName,
  { source, text }: { source: Source; text: string },
  problems: ConfigProblem[],
): unknown {
  const variable = VARIABLES[name];
  try {
    return variable.parse(text);
  } catch (error) {
    const shown = 'secret' in variable && variable.secret ? '' : `, not "${text}"`;
    const problem = error instanceof Error ? error.message : 'is not valid';
    const wrong =
      source.kind === 'flag'
        ? new TvdbError('E003', { message: `${source.name} ${problem}${shown}`, facts: { flag: source.name } })
        : new TvdbError('E103', {
            message: `${name} ${problem}${shown}`,
            why: `it is set in ${sourceText(source)}`,
            facts: { setting: name },
          });
    problems.push({ error: wrong, setting: name, text });
    return variable.default === undefined ? undefined : variable.parse(variable.default);
  }
}

/** Where a value came from, as people read it. */
export function sourceText(source: Source): string {
  if (source.kind === 'flag') return source.name;
  if (source.kind === 'environment') return 'the environment';
  if (source.kind === 'default') return 'default';
  return source.path;
}

interface Rule {
  /** The first one is named in the message. */
  readonly names: readonly [VariableName, VariableName];
  readonly holds: (settings: Settings) => boolean;
  readonly message: string;
  readonly why?: string;
}

/** Rules that hold between settings. */
const RULES: readonly Rule[] = [
  {
    names: ['CHUNK_TARGET_TOKENS', 'CHUNK_MAX_TOKENS'],
    holds: (settings) => settings.CHUNK_TARGET_TOKENS <= settings.CHUNK_MAX_TOKENS,
    message: 'CHUNK_TARGET_TOKENS must not be more than CHUNK_MAX_TOKENS',
  },
  {
    names: ['CHUNK_OVERLAP_TOKENS', 'CHUNK_TARGET_TOKENS'],
    holds: (settings) => settings.CHUNK_OVERLAP_TOKENS * 2 <= settings.CHUNK_TARGET_TOKENS,
    message: 'CHUNK_OVERLAP_TOKENS must not be more than half of CHUNK_TARGET_TOKENS',
  },
  {
    names: ['LEASE_DURATION', 'HEARTBEAT_INTERVAL'],
    holds: (settings) => settings.LEASE_DURATION >= settings.HEARTBEAT_INTERVAL * 3,
    message: 'LEASE_DURATION must be at least three times HEARTBEAT_INTERVAL',
    why: 'a lease that can end between two signs of life is taken over from a living worker',
  },
];

/** A rule is not asked about a setting that is wrong by itself: its default may break it. */
function checkTogether(settings: Settings, problems: ConfigProblem[]): void {
  const wrong = new Set(problems.map(({ setting }) => setting));
  for (const { names, holds, message, why } of RULES) {
    if (names.some((name) => wrong.has(name)) || holds(settings)) continue;
    const error = new TvdbError('E103', { message, ...(why !== undefined && { why }), facts: { setting: names[0] } });
    problems.push({ error, setting: names[0], text: undefined });
  }
}

function envFilePaths(cwd: string, explicit: string | undefined): string[] {
  return explicit === undefined ? ENV_FILES.map((name) => join(cwd, name)) : [resolve(cwd, explicit)];
}

/** No file where one may be missing; throws E108 where one cannot be read. */
function readEnvFile(path: string, mustExist: boolean) {
  try {
    return [{ path, values: parseEnv(readFileSync(path, 'utf8')) as Record<string, string | undefined> }];
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (!mustExist && (code === 'ENOENT' || code === 'EISDIR')) return [];
    throw new TvdbError('E108', { message: `The environment file ${path} cannot be read`, cause: error });
  }
}

function homeDirectory(setting: string | undefined, env: Record<string, string | undefined>, cwd: string): string {
  if (setting !== undefined) return resolve(cwd, setting);
  const data = env.XDG_DATA_HOME;
  const base = data !== undefined && isAbsolute(data) ? data : join(env.HOME ?? homedir(), '.local', 'share');
  return join(base, 'tvdb');
}
