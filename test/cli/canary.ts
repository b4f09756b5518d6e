/** Keys that must not get out, and the search for them in every form in which they could. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { VARIABLES } from '../../src/config/variables.ts';

export const SECRETS = Object.entries(VARIABLES).flatMap(([name, variable]) =>
  'secret' in variable && variable.secret ? [name] : [],
);

/** With characters that an encoding changes, longer than a terminal is wide, another for each variable. */
export const canary = (name: string) =>
  `${name.startsWith('OPENAI') ? 'sk' : 'llx'}-ZANZIBAR/${name}+k=${'7f3a9c9b1e0d'.repeat(8)}`;

export const KEYS = Object.fromEntries(SECRETS.map((name) => [name, canary(name)]));

/** The key in the forms it could leave in: plain, URL, JSON, hex, three kinds of base64, base64url; and cut after 8 characters. */
function forms(key: string): string[] {
  const bytes = Buffer.from(key);
  const base64 = [0, 1, 2].map((shift) =>
    Buffer.concat([Buffer.alloc(shift), bytes])
      .toString('base64')
      .slice(4, -4),
  );
  return [
    key,
    encodeURIComponent(key),
    JSON.stringify(key).slice(1, -1),
    bytes.toString('hex'),
    ...base64,
    bytes.toString('base64url').slice(0, -4),
  ];
}

/** What is left of a form that was cut. Of base64 the eight characters of the key are ten or eleven. */
function beginnings(key: string): string[] {
  const first = Buffer.from(key.slice(0, 9));
  return ['ZANZIBAR', key.slice(0, 8), first.toString('hex').slice(0, 16), first.toString('base64')];
}

/** What of these secrets is in these bytes, in any form, whole or cut, and any case. */
export function leaks(where: string, bytes: string, secrets: readonly string[] = Object.values(KEYS)): string[] {
  const text = bytes.toLowerCase();
  const looked = secrets.flatMap((key) => [...forms(key), ...(key.includes('ZANZIBAR') ? beginnings(key) : [])]);
  return [...new Set(looked)].filter((form) => text.includes(form.toLowerCase())).map((form) => `${where}: ${form}`);
}

/** Every file below a home but those the test itself wrote keys into. */
export function filesIn(home: string): [string, string][] {
  return readdirSync(home, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name !== '.env')
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => [path, readFileSync(path, 'latin1')]);
}
