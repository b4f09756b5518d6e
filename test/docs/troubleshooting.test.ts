import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ERROR_CODES, type ErrorCode } from '../../src/base/error-codes.ts';
import { ROOT } from '../rules/sources.ts';
import { ADVICE } from './advice.ts';

const GROUPS: Record<string, string> = {
  E0: 'The command line',
  E1: 'This machine, settings and keys',
  E2: 'Money',
  E3: 'The services',
  E4: 'Documents',
  E5: 'The store and search',
  E6: 'Local servers',
  E9: 'Bugs',
};

function troubleshootingPage(): string {
  const codes = Object.keys(ERROR_CODES) as ErrorCode[];
  const entry = (code: ErrorCode) => {
    const { title, fix, exit } = ERROR_CODES[code];
    return [`### TVDB-${code}: ${title}`, '', `${ADVICE[code]}`, '', `**Do:** ${fix} (exit code ${exit})`, ''];
  };
  return [
    '# Troubleshooting, by error code',
    '',
    'Made by `npm run docs` from `src/base/error-codes.ts` and `test/docs/advice.ts`; do not edit. `tvdb help errors <code>` prints the short form.',
    '',
    'Every error says what happened, why if that is known, what to do, and what was charged. Three commands show more: `tvdb status <id>`',
    '(why a job waits), `tvdb trace <id>` (everything that happened to it, with the words of the services), and `tvdb doctor` (what is wrong',
    'with the installation). After any interruption `tvdb run` goes on where it was.',
    '',
    ...Object.entries(GROUPS).flatMap(([range, name]) => [
      `## ${name}`,
      '',
      ...codes.filter((code) => code.startsWith(range)).flatMap(entry),
    ]),
  ].join('\n');
}

describe('docs/TROUBLESHOOTING.md', () => {
  it('is what the table of codes and the advice make of it', async () => {
    await expect(troubleshootingPage()).toMatchFileSnapshot(join(ROOT, 'docs/TROUBLESHOOTING.md'));
  });

  it('has one entry with some advice for every error code there is', () => {
    const page = troubleshootingPage();
    for (const code of Object.keys(ERROR_CODES) as ErrorCode[]) {
      expect([code, page.split(`### TVDB-${code}:`).length]).toEqual([code, 2]);
      expect(ADVICE[code].length).toBeGreaterThan(10);
    }
  });
});
