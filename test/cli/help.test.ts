/** Help of the tool, of commands and of topics. */
import { describe, expect, it } from 'vitest';
import { PRODUCT } from '../../src/cli/product.ts';
import { runTvdb } from '../setup/run-tvdb.ts';
import { COMMANDS } from './sample-commands.ts';

const tvdb = (...argv: string[]) => runTvdb(argv, { commands: COMMANDS });

describe('help', () => {
  it('is printed on stdout with exit 0 for an empty command line, also in the help of groups', async () => {
    const bare = await tvdb();
    expect(bare).toMatchObject({ code: 0, stderr: '' });
    expect(bare.stdout).toContain('Commands\n  upload');
    expect((await tvdb('-v')).stdout).toBe(bare.stdout);
    expect((await tvdb('alerts')).stdout).toContain('alerts ack');
  });

  it('of a command shows examples first, common flags first, and exit codes', async () => {
    const forms = await Promise.all([tvdb('upload', '--help'), tvdb('upload', '-h'), tvdb('help', 'upload')]);
    for (const run of forms) expect(run).toMatchObject({ code: 0, stderr: '', stdout: forms[0]?.stdout });
    expect(forms[0]?.stdout).toMatchInlineSnapshot(`
      "Accept documents

      Usage
        tvdb upload <paths...> [flags]

      Examples
        tvdb upload file.pdf  one document

      Arguments
        <paths...>  files

      Flags
        -m, --mode <mode>         which services (mock, real, hybrid)
            --max-cost <money>    run cap
            --tag <pair>          label (repeatable)
            --no-wait             return at once
        -y, --yes                 consent
            --timeout <duration>  longest wait
            --since <time>        only newer
        -k, --top <integer>       how many
            --open[=<text>]       open it
            --no-open             do not open it

      Also
            --json     one JSON document on stdout
        -q, --quiet    print only what the next command needs (ids)
        -v, --verbose  more detail on stderr; twice for requests
                       all flags of every command: tvdb help

      Exit codes
        0  done, including "nothing found" and "already processed"
        1  the work failed
        7  some documents done, some not
      "
    `);
  });

  it('fits the terminal', async () => {
    for (const cols of [40, 80, 200]) {
      const run = await runTvdb(['help', 'upload'], { commands: COMMANDS, tty: true, cols });
      for (const line of run.stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(cols);
    }
  });

  it('--json is the tree of commands', async () => {
    const run = await tvdb('help', '--json');
    expect(run.json.schema).toBe('tvdb.help/v1');
    const found = run.json.data.commands.find((command: { name: string }) => command.name === 'upload');
    expect(found.options.find((option: { name: string }) => option.name === '--mode')).toEqual({
      name: '--mode',
      short: '-m',
      summary: 'which services',
      value: 'choice',
      choices: ['mock', 'real', 'hybrid'],
      repeatable: false,
    });
    expect(run.json.data.global_options.length).toBeGreaterThan(10);
  });

  it('has topics for exit codes, environment, formatting and errors', async () => {
    expect((await tvdb('help', 'exit-codes')).stdout).toContain('130\tinterrupted');
    expect((await tvdb('help', 'environment')).stdout).toContain('SERVICE_MODE\tmock');
    expect((await tvdb('help', 'formatting')).stdout).toContain('ndjson');
    expect((await tvdb('help', 'errors', 'tvdb-e405')).stdout).toContain('TVDB-E405\t1\tdata');
    const rich = await runTvdb(['help', 'environment'], { commands: COMMANDS, tty: true });
    expect(rich.stdout).toContain('SERVICE_MODE  (default mock)');
    for (const line of rich.stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(100);
  });

  it.each(PRODUCT.commands.map(({ name }) => [name]))(
    'of `tvdb %s`: it mounts, and its help fits 80 columns',
    async (name) => {
      const run = await runTvdb([...name.split(' '), '--help']);
      expect(run).toMatchObject({ code: 0, stderr: '' });
      expect(run.stdout).toContain(`tvdb ${name}`);
      for (const line of run.stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
    },
  );

  it('--version is the version alone', async () => {
    expect(await tvdb('--version')).toMatchObject({ code: 0, stdout: '0.1.0\n', stderr: '' });
    expect((await tvdb('upload', '-V')).stdout).toBe('0.1.0\n');
  });
});
