/** Checks of the settings: names, hidden values, files with keys, keys. No value of a key is ever part of a finding. */
import { chmod, lstat, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseEnv } from 'node:util';
import { sourceText } from '../../config/load.ts';
import { readPreferences } from '../../config/preferences.ts';
import { VARIABLES, type VariableName } from '../../config/variables.ts';
import { type Check, type CheckContext, failed, ok } from './check.ts';

const NAMES = Object.keys(VARIABLES) as VariableName[];
const SECRETS: readonly string[] = NAMES.filter((name) => 'secret' in VARIABLES[name]);
/** Read by the crash tests, on purpose not a setting. */
const INTERNAL = ['TVDB_FAULT', 'TVDB_CRASH_KILLS'];

/** What cannot be read or is not valid ends most commands before they begin; names may be misspelt. */
export const config: Check = async ({ config: { preferencesFile, problems }, env }) => {
  const [first] = problems;
  if (first !== undefined) {
    const whys = problems.flatMap(({ error: { why } }) => why ?? []);
    return {
      status: 'fail',
      detail: problems.map(({ error }) => failed(error).detail).join('; '),
      ...(whys.length > 0 && { why: whys.join('; ') }),
      fix: { text: [...new Set(problems.map(({ error }) => error.fix))].join(' '), commands: ['tvdb config list'] },
    };
  }
  const known: readonly string[] = NAMES;
  const saved = Object.keys(readPreferences(preferencesFile));
  const unknown = saved.filter((name) => !known.includes(name) && !name.startsWith('__'));
  const stray = Object.keys(env).filter(
    (name) => name.startsWith('TVDB_') && !known.includes(name) && !INTERNAL.includes(name),
  );
  if (unknown.length === 0 && stray.length === 0)
    return ok(saved.length === 0 ? 'nothing saved, all defaults' : preferencesFile);
  const parts = [
    ...(unknown.length === 0 ? [] : [`${preferencesFile} has unknown settings: ${unknown.join(', ')}`]),
    ...(stray.length === 0 ? [] : [`the environment has unknown variables: ${stray.join(', ')}`]),
  ];
  return {
    status: 'warn',
    detail: parts.join('; '),
    why: 'they have no effect',
    fix: { text: 'compare the names', commands: ['tvdb config list'] },
  };
};

export const envFiles: Check = async (context) => {
  const open: string[] = [];
  let withKeys = 0;
  for (const path of filesWithSettings(context)) {
    const mode = (await lstat(path).catch(() => null))?.mode;
    if (mode === undefined || !(await holdsKey(path))) continue;
    withKeys += 1;
    if ((mode & 0o077) !== 0) open.push(path);
  }
  if (open.length === 0)
    return ok(withKeys === 0 ? 'no file holds a key' : `${withKeys} with keys, for their owner only`);
  return {
    status: 'warn',
    detail: `others on this machine can read ${open.join(', ')}`,
    why: 'there is a key in it',
    fix: { text: 'take the rights of others away', commands: open.map((path) => `chmod 600 ${quoted(path)}`) },
    repair: {
      text: `chmod 600 ${open.join(' ')}`,
      async apply() {
        for (const path of open) await chmod(path, 0o600);
      },
    },
  };
};

/** For a POSIX shell. */
function quoted(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}

function filesWithSettings({ config: { preferencesFile }, cwd, envFile }: CheckContext): string[] {
  const files =
    envFile === undefined ? ['.env.tvdb001', '.env'].map((name) => join(cwd, name)) : [resolve(cwd, envFile)];
  return [...files, preferencesFile];
}

async function holdsKey(path: string): Promise<boolean> {
  const text = await readFile(path, 'utf8').catch(() => '');
  const names = path.endsWith('.json')
    ? SECRETS.filter((name) => text.includes(`"${name}"`))
    : Object.keys(parseEnv(text));
  return names.some((name) => SECRETS.includes(name));
}

/** Precedence is meant to hide values; a value that was saved on purpose and has no effect is worth a word. */
export const envShadow: Check = async ({ config: { sources } }) => {
  const hidden = NAMES.flatMap((name) => {
    const { source, shadowed } = sources[name];
    return shadowed.some((one) => one.source.kind === 'preferences') ? [{ name, source }] : [];
  });
  if (hidden.length === 0) return ok('no saved setting is hidden');
  const parts = hidden.map(({ name, source }) => `${name} is saved, but ${sourceText(source)} decides`);
  const commands = hidden.flatMap(({ name, source }) => (source.kind === 'environment' ? [`unset ${name}`] : []));
  return { status: 'warn', detail: parts.join('; '), fix: { text: 'remove one of the two', commands } };
};

/** Keys of services that the mode, or the wish for one of them, would use. */
export const keys: Check = async ({ config: { settings } }) => {
  const { SERVICE_MODE: general, SERVICE_MODE_LLAMAPARSE, SERVICE_MODE_OPENAI } = settings;
  const all = [
    {
      name: 'LLAMAPARSE_API_KEY',
      value: settings.LLAMAPARSE_API_KEY ?? settings.LLAMA_CLOUD_API_KEY,
      second: settings.LLAMAPARSE_API_KEY_SECONDARY,
      mode: SERVICE_MODE_LLAMAPARSE ?? general,
    },
    {
      name: 'OPENAI_API_KEY',
      value: settings.OPENAI_API_KEY,
      second: settings.OPENAI_API_KEY_SECONDARY,
      mode: SERVICE_MODE_OPENAI ?? general,
    },
  ];
  const detail = all
    .map(({ name, value, second }) => {
      const spare = second === undefined ? '' : ' and a second one for when it is refused';
      return `${name} ${value === undefined ? 'not set' : 'set'}${spare}`;
    })
    .join(', ');
  const missing = all.filter(({ value, mode }) => value === undefined && mode !== 'mock');
  if (missing.length === 0) return ok(detail);
  const commands = missing.map(({ name }) => `echo '${name}=...' >> .env`);
  const fix = { text: 'set it, or use the mock', commands };
  if (missing.every(({ mode }) => mode === 'hybrid'))
    return { status: 'warn', detail, why: 'mode hybrid falls back to mock without it', fix };
  return { status: 'fail', detail, why: 'mode real needs it', fix };
};
