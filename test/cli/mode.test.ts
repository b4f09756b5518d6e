import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openStore } from '../../src/store/open.ts';
import { runTvdb } from '../setup/run-tvdb.ts';
import { tempDirectory } from '../setup/temp.ts';

const preferences = (home: string) => join(home, 'config', 'tvdb', 'config.json');
const KEY = 'sk-0123456789abcdef-wxyz';

async function changes(home: string) {
  const store = openStore({ home: join(home, 'data', 'tvdb') });
  try {
    return await store.db.selectFrom('mode_changes').selectAll().execute();
  } finally {
    await store.close();
  }
}

describe('tvdb mode', () => {
  it('shows the mode, its source and what each service does and why', async () => {
    const { code, json } = await runTvdb(['mode', '--json']);
    expect(code).toBe(0);
    expect(json.schema).toBe('tvdb.mode/v1');
    expect(json.data).toEqual({
      mode: 'mock',
      source: 'default',
      shadowed: [],
      services: [
        {
          name: 'llamaparse',
          mode: 'mock',
          mode_source: 'default',
          wanted: 'mock',
          effective: 'mock',
          reason: 'mode_mock',
          fallback: false,
          blocked: null,
          key: null,
          retry_at: null,
          last_ok_at: null,
        },
        {
          name: 'openai',
          mode: 'mock',
          mode_source: 'default',
          wanted: 'mock',
          effective: 'mock',
          reason: 'mode_mock',
          fallback: false,
          blocked: null,
          key: null,
          retry_at: null,
          last_ok_at: null,
        },
      ],
      saved: null,
      saved_services: [],
      jobs: null,
    });
  });

  it('shouts a stand-in in hybrid, and names the key that is missing', async () => {
    const { stdout, code } = await runTvdb(['mode'], { tty: true, env: { SERVICE_MODE: 'hybrid', NO_COLOR: '1' } });
    expect(code).toBe(0);
    expect(stdout).toMatch(/Mode\s+hybrid\s+from SERVICE_MODE in the environment/);
    expect(stdout).toMatch(/LlamaParse\s+real\s+MOCK\s+LLAMAPARSE_API_KEY is not set/);
  });

  it('saves a mode for its owner only, records the change, and uses it from then on', async () => {
    const home = tempDirectory();
    const saved = await runTvdb(['mode', 'hybrid', '--json'], { home });
    expect(saved.code).toBe(0);
    expect(saved.json.data.saved).toMatchObject({ mode: 'hybrid', was: null, changed: true, in_effect: true });
    expect(JSON.parse(readFileSync(preferences(home), 'utf8'))).toMatchObject({ SERVICE_MODE: 'hybrid' });
    expect(statSync(preferences(home)).mode & 0o777).toBe(0o600);
    expect((await runTvdb(['mode', '-q'], { home })).stdout).toBe('hybrid\n');
    expect(await changes(home)).toMatchObject([{ from_mode: null, to_mode: 'hybrid' }]);
    expect((await runTvdb(['mode', 'hybrid', '--json'], { home })).json.data.saved).toMatchObject({
      was: 'hybrid',
      changed: false,
    });
    expect(await changes(home)).toHaveLength(1);
  });

  it('warns when the environment hides what was saved', async () => {
    const home = tempDirectory();
    const { code, json, stderr } = await runTvdb(['mode', 'hybrid', '--json'], { home, env: { SERVICE_MODE: 'mock' } });
    expect(code).toBe(0);
    expect(json.data).toMatchObject({
      mode: 'mock',
      source: 'env:SERVICE_MODE',
      shadowed: [{ source: `preferences:${preferences(home)}`, value: 'hybrid' }],
      saved: { in_effect: false },
    });
    expect(json.warnings).toMatchObject([{ code: 'TVDB-W103' }]);
    expect(stderr).toContain('unset SERVICE_MODE');
  });

  it('warns when an .env file hides what was saved', async () => {
    const home = tempDirectory();
    mkdirSync(join(home, 'work'));
    writeFileSync(join(home, 'work', '.env'), 'SERVICE_MODE=mock\n');
    const { json } = await runTvdb(['mode', 'hybrid', '--json'], { home });
    expect(json.data.source).toBe(`file:${join(home, 'work', '.env')}`);
    expect(json.warnings[0].message).toContain(`remove SERVICE_MODE from ${join(home, 'work', '.env')}`);
  });

  it('saves nothing when real lacks a key (exit 4)', async () => {
    const home = tempDirectory();
    const { code, json } = await runTvdb(['mode', 'real', '--json'], { home });
    expect(code).toBe(4);
    expect(json.error.code).toBe('TVDB-E101');
    expect(existsSync(preferences(home))).toBe(false);
    expect(await changes(home)).toEqual([]);
  });

  it('saves real where the keys are set, and shows of them only their end', async () => {
    const home = tempDirectory();
    const env = { LLAMAPARSE_API_KEY: KEY, OPENAI_API_KEY: KEY };
    const saved = await runTvdb(['mode', 'real', '--json'], { home, env });
    expect([saved.code, saved.json.data.services[1]]).toMatchObject([0, { effective: 'real', reason: 'mode_real' }]);
    expect(saved.json.data.services[0].key).toBe('set, ends wxyz');
    expect(saved.stdout + saved.stderr).not.toContain(KEY);
  });

  it('T14 suggests the mode that was meant (exit 2)', async () => {
    const { code, json, stderr } = await runTvdb(['mode', 'hybird', '--json']);
    expect([code, json.error.code]).toEqual([2, 'TVDB-E005']);
    expect(stderr).toContain('Did you mean "hybrid"?');
  });

  it('is tab-separated in a pipe and fits 40 columns', async () => {
    const piped = await runTvdb(['mode']);
    expect(piped.stdout).toBe('mode\tmock\tdefault\nllamaparse\tmock\tmode_mock\nopenai\tmock\tmode_mock\n');
    const narrow = await runTvdb(['mode'], { tty: true, cols: 40, env: { NO_COLOR: '1' } });
    for (const line of narrow.stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(40);
    expect(narrow.stdout).toContain('LlamaParse');
  });

  it('writes only a file called config.json', async () => {
    const home = tempDirectory();
    writeFileSync(join(home, 'mine.json'), '{}');
    const { code, stderr } = await runTvdb(['mode', 'hybrid', '--config', join(home, 'mine.json')], { home });
    expect(code).toBe(2);
    expect(stderr).toContain('config.json');
  });
});

describe('tvdb mode --service', () => {
  it('saves the wish for one service, uses it at once, and forgets it with default', async () => {
    const home = tempDirectory();
    const env = { OPENAI_API_KEY: KEY };
    const saved = await runTvdb(['mode', 'hybrid', '--service', 'llamaparse=mock', '--json'], { home, env });
    expect(saved.code).toBe(0);
    expect(saved.json.data).toMatchObject({
      mode: 'hybrid',
      services: [
        { name: 'llamaparse', mode: 'mock', mode_source: `preferences:${preferences(home)}`, reason: 'override' },
        { name: 'openai', mode: 'hybrid', effective: 'mock', reason: 'parse_is_mock' },
      ],
      saved: { mode: 'hybrid' },
      saved_services: [{ name: 'llamaparse', mode: 'mock', was: null, changed: true, in_effect: true }],
    });
    expect(JSON.parse(readFileSync(preferences(home), 'utf8'))).toMatchObject({ SERVICE_MODE_LLAMAPARSE: 'mock' });
    const page = await runTvdb(['mode'], { home, env: { ...env, NO_COLOR: '1' }, tty: true });
    expect(page.stdout).toMatch(/llamaparse mock {3}from .*config\.json/);
    const gone = await runTvdb(['mode', '--service', 'llamaparse=default', '--json'], { home, env });
    expect(gone.json.data).toMatchObject({
      services: [{ mode: 'hybrid', reason: 'key_missing', fallback: true }, {}],
      saved: null,
      saved_services: [{ name: 'llamaparse', mode: null, was: 'mock' }],
    });
    expect(JSON.parse(readFileSync(preferences(home), 'utf8'))).not.toHaveProperty('SERVICE_MODE_LLAMAPARSE');
    expect(await changes(home)).toMatchObject([
      { to_mode: 'hybrid', service: null },
      { to_mode: 'mock', service: 'llamaparse' },
      { from_mode: 'mock', to_mode: 'hybrid', service: 'llamaparse' },
    ]);
  });

  it('saves nothing when one service would lack its key (exit 4)', async () => {
    const home = tempDirectory();
    const { code, json } = await runTvdb(['mode', '--service', 'openai=real', '--json'], { home });
    expect([code, json.error.code, existsSync(preferences(home))]).toEqual([4, 'TVDB-E101', false]);
  });

  it('warns when the environment hides the wish that was saved', async () => {
    const env = { SERVICE_MODE_OPENAI: 'hybrid' };
    const { json, stderr } = await runTvdb(['mode', '--service', 'openai=mock', '--json'], { env });
    expect(json.data.saved_services).toMatchObject([{ in_effect: false }]);
    expect(json.warnings).toMatchObject([{ code: 'TVDB-W103' }]);
    expect(stderr).toContain('unset SERVICE_MODE_OPENAI');
  });

  it.each([
    [['mode', '--service', 'opanai=mock'], 'TVDB-E005', '"openai"'],
    [['mode', '--service', 'openai=mokc'], 'TVDB-E005', '"mock"'],
    [['upload', 'a.pdf', '--service', 'llamaprase=mock'], 'TVDB-E005', '"llamaparse"'],
    [['upload', 'a.pdf', '--service', 'openai=default'], 'TVDB-E005', 'mock, real, hybrid'],
    [['upload', 'a.pdf', '--service', 'openai'], 'TVDB-E003', 'key=value'],
    [['upload', 'a.pdf', '--tier', 'agentik'], 'TVDB-E005', '"agentic"'],
    [['upload', 'a.pdf', '--results', 'pol'], 'TVDB-E005', '"poll"'],
    [['run', '--results', 'webhok'], 'TVDB-E005', '"webhook"'],
    [['mode', '--jobs', 'all'], 'TVDB-E002', 'tvdb mode mock|real|hybrid --jobs'],
    [['mode', 'mock', '--jobs', 'all', '--jobs', 'abcd1234'], 'TVDB-E009', 'name no others'],
    [['mode', 'mock', '--jobs', 'abcd1234'], 'TVDB-E006', 'abcd1234'],
    [['upload', 'a.pdf', '--no-wait', '--timeout', '5s'], 'TVDB-E009', '--timeout'],
  ])('%j is a usage error with a way out (exit 2)', async (argv, code, hint) => {
    const run = await runTvdb([...argv, '--json']);
    expect([run.code, run.json.error.code]).toEqual([2, code]);
    expect(run.stderr.replace(/\s+/g, ' ')).toContain(hint);
  });
});

describe('tvdb mode --jobs', () => {
  const LETTER = join(process.cwd(), 'fixtures/documents/letter.pdf');

  it('changes unfinished jobs, saves nothing, records it, and the jobs follow', async () => {
    const queued = await runTvdb(['upload', LETTER, '--no-wait', '-m', 'hybrid', '--json']);
    const { home } = queued;
    const job = queued.json.data.documents[0].job_id as string;
    const { code, json } = await runTvdb(['mode', 'mock', '--jobs', job.slice(0, 8), '--json'], { home });
    expect(code).toBe(0);
    expect(json.data.jobs).toMatchObject([
      {
        job_id: job,
        outcome: 'changed',
        from_mode: 'hybrid',
        mode: 'mock',
        services: { openai: { why: 'mode_mock' } },
      },
    ]);
    expect(json.data).toMatchObject({ mode: 'mock', source: 'default', saved: null });
    expect(existsSync(preferences(home))).toBe(false);
    expect(await changes(home)).toMatchObject([{ from_mode: 'hybrid', to_mode: 'mock', job_id: job, service: null }]);
    const again = await runTvdb(['mode', 'mock', '--jobs', 'all', '--yes', '--json'], { home });
    expect([again.code, again.json.data.jobs]).toMatchObject([0, [{ outcome: 'unchanged' }]]);
    const run = await runTvdb(['run', '--json'], { home });
    expect(run.json.data.jobs).toMatchObject([{ job_id: job, status: 'complete' }]);
    const ended = await runTvdb(['mode', 'hybrid', '--jobs', job, '--json'], { home });
    expect([ended.code, ended.json.error.code]).toEqual([2, 'TVDB-E010']);
    expect(ended.json.data.jobs).toMatchObject([{ outcome: 'ended', mode: 'mock' }]);
  });

  it('asks before all of them; scripts need --yes (E011); none is no failure', async () => {
    const { home } = await runTvdb(['upload', LETTER, '--no-wait', '--json']);
    const unasked = await runTvdb(['mode', 'hybrid', '--jobs', 'all'], { home });
    expect(unasked.code).toBe(2);
    expect(unasked.stderr).toContain('--yes');
    const all = await runTvdb(['mode', 'hybrid', '--jobs', 'all', '--yes'], { home });
    expect([all.code, all.stdout]).toEqual([0, expect.stringMatching(/\tchanged\thybrid\tuploaded\tletter\.pdf\n$/)]);
    expect(all.stderr).toContain('tvdb run');
    expect((await runTvdb(['mode', 'mock', '--jobs', 'all'])).code).toBe(0);
  });

  it('changes nothing to real without keys (exit 4), and is partly done where some have ended (exit 7)', async () => {
    const done = await runTvdb(['upload', LETTER, '--json']);
    const { home } = done;
    const queued = await runTvdb(['upload', LETTER, '--force', '--no-wait', '--json'], { home });
    const document = queued.json.data.documents[0].document_id as string;
    expect((await runTvdb(['mode', 'real', '--jobs', document, '--json'], { home })).code).toBe(4);
    expect(await changes(home)).toEqual([]);
    const both = await runTvdb(['mode', 'hybrid', '--jobs', document, '--json'], { home });
    expect(both.code).toBe(7);
    expect(both.json.data.jobs.map(({ outcome }: { outcome: string }) => outcome).sort()).toEqual(['changed', 'ended']);
  });
});
