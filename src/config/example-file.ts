/** `.env.tvdb001.example`: every setting, grouped and documented, made from the table of variables. */
import type { Variable } from './variable.ts';
import { VARIABLES } from './variables.ts';

/** The text of the example file. Settings that have a default stand there with it, commented out; keys stand empty. */
export function exampleFile(): string {
  const lines = [
    '# Settings of tvdb. Copy this file to .env.tvdb001 (or .env) in the directory you work in, and keep it private.',
    '# Order of precedence: flags, environment, .env.tvdb001, .env, saved preferences (`tvdb mode`), defaults.',
    '# `tvdb config list` shows every value in force and where it comes from.',
  ];
  let group = '';
  for (const [name, row] of Object.entries<Variable<unknown>>(VARIABLES)) {
    if (row.group !== group) lines.push('', `# --- ${row.group} ---`);
    group = row.group;
    lines.push('', ...wrap(row.doc), `# ${name}=${row.default ?? ''}`);
  }
  return `${lines.join('\n')}\n`;
}

function wrap(text: string): string[] {
  const lines: string[] = [];
  let line = '#';
  for (const word of text.split(' ')) {
    if (line.length + word.length + 1 > 110) {
      lines.push(line);
      line = '#';
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}
