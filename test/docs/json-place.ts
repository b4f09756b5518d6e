/** Runs the tool with `--json` or `--ndjson` and keeps what it wrote. */
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeHome } from '../cli/seeded-home.ts';
import { type RunOptions, runTvdb } from '../setup/run-tvdb.ts';

// biome-ignore lint/suspicious/noExplicitAny: documents of many shapes
export type Json = any;

/** One run of the tool with `--json` or `--ndjson`. */
export interface Situation {
  /** Where it ran: `empty`, `documents`, ... */
  readonly place: string;
  /** The command line without `tvdb` and the flag of the format. */
  readonly argv: string;
  /** Words of the command, to find its declaration; `''` where the command line is not understood. */
  readonly command: string;
  readonly ndjson: boolean;
  readonly code: number;
  readonly stdout: string;
}

/** A home in which commands are run and kept. */
export interface Place {
  readonly home: string;
  readonly cwd: string;
  /** Runs with `--json`, keeps the output and returns the document. */
  json(argv: readonly string[], options?: RunOptions): Promise<Json>;
  /** The same with `--ndjson`. */
  events(argv: readonly string[], options?: RunOptions): Promise<Json[]>;
  /** Puts a fixture into the working directory. */
  put(name: string, fixture: string): void;
}

const FIXTURES = fileURLToPath(new URL('../../fixtures/', import.meta.url));

/** A place of its own, whose runs go to `kept`. `commands` are the names of all commands. */
export function placeNamed(name: string, commands: readonly string[], kept: Situation[]): Place {
  const home = makeHome();
  const cwd = join(home, 'work');
  mkdirSync(cwd);
  const tvdb = async (argv: readonly string[], ndjson: boolean, options?: RunOptions) => {
    const all = [...argv, ndjson ? '--ndjson' : '--json'];
    const { code, stdout } = await runTvdb(all, { home, cwd, random: () => 0.5, ...options });
    const words = [3, 2, 1].map((count) => argv.slice(0, count).join(' '));
    const command = words.find((one) => commands.includes(one)) ?? '';
    kept.push({ place: name, argv: argv.join(' '), command, ndjson, code, stdout });
    return stdout;
  };
  return {
    home,
    cwd,
    json: async (argv, options) => JSON.parse(await tvdb(argv, false, options)),
    async events(argv, options) {
      const lines = (await tvdb(argv, true, options)).trimEnd().split('\n');
      return lines.map((line) => JSON.parse(line));
    },
    put: (file, fixture) => copyFileSync(join(FIXTURES, fixture), join(cwd, file)),
  };
}
