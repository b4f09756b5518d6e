/** Colour and glyphs of whole outputs, on both streams. */
import { describe, expect, it } from 'vitest';
import { bad } from '../../src/cli/ui/text.ts';
import { runTvdb } from '../setup/run-tvdb.ts';
import { sample } from './sample-commands.ts';

describe('colour', () => {
  const colourful = sample('colourful', async (_input, { ui }) => {
    ui.note((page) => page.status('warn', 'careful'));
    return {
      data: {},
      render: (page) => {
        page.status('ok', 'fine');
        page.table({ columns: [{ head: 'A' }], rows: [[bad('red')]] });
      },
    };
  });
  const run = (options: object, ...argv: string[]) =>
    runTvdb(['colourful', ...argv], { commands: [colourful], ...options });

  it('trap 1: no ESC byte in a pipe with CI unset, on either stream', async () => {
    const { stdout, stderr } = await run({});
    expect(stdout + stderr).not.toContain('\x1b');
    expect(stdout).toBe('  ok    fine\nA\nred\n');
  });

  it('trap 1: NO_COLOR is honoured on a terminal', async () => {
    const { stdout, stderr } = await run({ tty: true, env: { NO_COLOR: '1' } });
    expect(stdout + stderr).not.toContain('\x1b');
  });

  it('colours a terminal, and a pipe only when told to', async () => {
    expect((await run({ tty: true })).stdout).toContain('\x1b[32m');
    expect((await run({}, '--color=always')).stdout).toContain('\x1b[31m\x1b[1mred');
    const split = await run({ tty: 'stderr' });
    expect(split.stdout).not.toContain('\x1b');
    expect(split.stderr).toContain('\x1b[33m');
  });

  it('says a status as a word, with a glyph only on a terminal that can show it', async () => {
    expect((await run({ tty: true, env: { NO_COLOR: '1' } })).stdout).toContain('✓ ok    fine');
    expect((await run({ tty: true, env: { NO_COLOR: '1', LANG: 'C' } })).stdout).toContain('  ok    fine');
    expect((await run({ tty: true, env: { NO_COLOR: '1', TVDB_ASCII: '1' } })).stdout).toContain('  ok    fine');
  });
});
