/** `tvdb simulate` as people start and stop it. */
import { EventEmitter } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import LlamaCloud from '@llamaindex/llama-cloud';
import { describe, expect, it } from 'vitest';
import { parseFaults } from '../../src/simulator/fault-syntax.ts';
import { type RunOptions, runTvdb } from '../setup/run-tvdb.ts';
import { tempDirectory } from '../setup/temp.ts';
import { LLAMA_KEY, letThrough, started } from './start.ts';

/** Runs the command, does something while it runs, then presses Ctrl-C. */
async function simulated(
  argv: readonly string[],
  meanwhile: (printed: string) => Promise<unknown> = async () => {},
  options: RunOptions = {},
) {
  letThrough();
  const signals = new EventEmitter();
  let printed = '';
  let going: Promise<unknown> | undefined;
  const onOutput = (stream: string, text: string) => {
    if (stream !== 'stdout') return;
    printed += text;
    going ??= meanwhile(printed).finally(() => signals.emit('SIGINT'));
  };
  const run = await runTvdb(['simulate', ...argv], { ...options, signals, onOutput });
  await going;
  return run;
}

describe('tvdb simulate', () => {
  it('prints both addresses and what to export, and ends with 0 at Ctrl-C', async () => {
    const run = await simulated(['--no-color'], undefined, { tty: true });
    expect(run.code).toBe(0);
    const port = /127\.0\.0\.1:(\d+)/.exec(run.stdout)?.[1];
    expect(run.stdout.split('\n').filter((line) => line.startsWith('  export '))).toEqual([
      `  export LLAMA_CLOUD_BASE_URL=http://127.0.0.1:${port}`,
      `  export OPENAI_BASE_URL=http://127.0.0.1:${port}/v1`,
      '  export LLAMAPARSE_API_KEY=llx-simulated',
      '  export OPENAI_API_KEY=sk-simulated',
    ]);
    expect(run.stderr).toContain('0 credits');
  });

  it('reads the PDFs it is given, on the port and with the log it was told', async () => {
    const home = tempDirectory();
    const log = join(home, 'requests.jsonl');
    let text = '';
    const run = await simulated(
      ['--json', '--log', log, '--latency', 'parse=0,page=0'],
      async (printed) => {
        const baseURL = JSON.parse(printed).data.llama_cloud_base_url;
        const llama = new LlamaCloud({ apiKey: LLAMA_KEY, baseURL, maxRetries: 0 });
        const upload_file = new File([readFileSync('fixtures/documents/letter.pdf')], 'letter.pdf');
        const result = await llama.parsing.parse(
          { upload_file, tier: 'fast', version: 'latest', expand: ['text'] },
          { pollingInterval: 0.01 },
        );
        text = result.text?.pages[0]?.text ?? '';
      },
      { home },
    );
    expect(run.code).toBe(0);
    expect(text).toMatch(/\w+ \w+ \w+/);
    expect(text).not.toContain('Final provisions');
    const lines = readFileSync(log, 'utf8').trimEnd().split('\n');
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ operation: 'parse.create', accepted: true, status: 200 });
  });

  it.each([
    [['--faults', 'parse.create=explode'], 'no fault explode for parse.create'],
    [['--faults', 'parze=500'], 'no target parze'],
    [['--latency', 'parse=soon'], 'parse=soon'],
  ])('refuses %j before it listens', async (argv, message) => {
    const run = await simulated(argv);
    expect([run.code, run.stdout]).toEqual([2, '']);
    expect(run.stderr.replace(/\s+/g, ' ')).toContain(message);
  });

  it('lists every kind of fault, in words that it takes', async () => {
    const run = await simulated(['--list-faults', '-q']);
    expect(run.code).toBe(0);
    const faults = parseFaults(run.stdout.trimEnd().split('\n').join(','));
    expect(faults).toContainEqual({ target: 'parse.create', action: 'duplicate', params: {}, times: 1, rate: null });
    expect((await simulated(['--list-faults'])).stdout).toContain('job\tstuck\tstays PENDING for ever');
  });

  it('says E601 when the port is taken', async () => {
    const { url } = await started();
    const run = await simulated(['--port', new URL(url).port]);
    expect(run.code).toBe(1);
    expect(run.stderr).toContain('TVDB-E601');
  });
});
