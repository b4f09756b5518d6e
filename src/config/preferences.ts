/**
 * The user's saved preferences: `$XDG_CONFIG_HOME/tvdb/config.json`, mode 0600.
 *
 * Reading is a plain file read, because every command needs it and the `conf` library costs a quarter of a second to
 * load; writing goes through `conf` (atomic replace, file mode, and the key is kept where users of `conf` expect it).
 */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { TvdbError } from '../base/errors.ts';

type Env = Record<string, string | undefined>;

/** The directory of the preferences. A relative XDG_CONFIG_HOME is ignored, as the XDG specification demands. */
export function preferencesDirectory(env: Env): string {
  const base = env.XDG_CONFIG_HOME;
  return join(base !== undefined && isAbsolute(base) ? base : join(env.HOME ?? homedir(), '.config'), 'tvdb');
}

/**
 * The saved settings by variable name; empty when nothing was saved. Throws E108 on a broken file, and on a missing one
 * that must exist because the user named it.
 */
export function readPreferences(file: string, { mustExist = false } = {}): Record<string, string> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    if (missing && !mustExist) return {};
    throw new TvdbError('E108', {
      message: missing ? `There is no configuration file ${file}` : `The configuration file ${file} cannot be read`,
      ...(missing && { why: 'it was named with --config', fix: 'Name a file that exists, or leave --config out.' }),
      cause: error,
    });
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new TvdbError('E108', {
      message: `The configuration file ${file} is not valid JSON`,
      why: error instanceof Error ? error.message : undefined,
      cause: error,
    });
  }
  if (parsed === null || typeof parsed !== 'object' || Array.isArray(parsed)) {
    throw new TvdbError('E108', { message: `The configuration file ${file} must hold a JSON object` });
  }
  return Object.fromEntries(
    Object.entries(parsed).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}

/** Saves one setting, or removes it with `undefined`. */
export async function savePreference(directory: string, key: string, value: string | undefined): Promise<void> {
  const { default: Conf } = await import('conf');
  const conf = new Conf<Record<string, string>>({
    cwd: directory,
    projectName: 'tvdb',
    projectSuffix: '',
    configFileMode: 0o600,
    accessPropertiesByDotNotation: false,
  });
  if (value === undefined) conf.delete(key);
  else conf.set(key, value);
}
