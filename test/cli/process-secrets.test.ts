/** T91: what other users and programs of the machine can see of our processes has no key in it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { start } from '../crash/processes.ts';
import { tempDirectory } from '../setup/temp.ts';
import { KEYS, leaks } from './canary.ts';
import { FIXTURES } from './workplace.ts';

function proc(pid: string, file: string): string {
  try {
    return readFileSync(join('/proc', pid, file), 'latin1');
  } catch {
    // It has ended.
    return '';
  }
}

/** The processes that descend from `pid`. The parent stands behind the name, which may hold anything but a bracket last. */
function descendants(pid: number): string[] {
  const parents = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => [name, proc(name, 'stat').split(') ').at(-1)?.split(' ')[1]] as const);
  const found = [String(pid)];
  for (const one of found) found.push(...parents.filter(([, parent]) => parent === one).map(([name]) => name));
  return found.slice(1);
}

it.runIf(process.platform === 'linux')(
  'T91 no key is in the command line of tvdb or in the command line and the environment of its children',
  async () => {
    const home = tempDirectory();
    const { pid, ended } = start(home, ['upload', join(FIXTURES, 'documents/policy.pdf')], KEYS);
    let over = false;
    const end = ended.finally(() => {
      over = true;
    });
    const seen = new Map<string, string>();
    while (!over) {
      seen.set('tvdb', proc(String(pid), 'cmdline'));
      for (const child of descendants(pid))
        for (const file of ['cmdline', 'environ']) {
          const text = proc(child, file);
          if (text !== '') seen.set(`${child} ${file}`, text);
        }
      await setImmediate();
    }
    expect((await end).code).toBe(0);
    // The search would find them: the children were seen, and their environment could be read.
    expect([...seen.values()].some((text) => text.includes('pdf-child'))).toBe(true);
    expect([...seen].filter(([name, text]) => name.endsWith('environ') && text.includes('PATH='))).not.toEqual([]);
    expect([...seen].flatMap(([name, text]) => leaks(name, text))).toEqual([]);
  },
);
