/** How an upload ends when services fail, time runs out, somebody stops it, or a mode cannot be used; and how it goes on. */
import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { gate, hostile, type Json, letter, newsletter, steeredClock, unicode, workplace } from './workplace.ts';

/** A parse that takes an hour, in the hands of a steered clock. */
const SLOW_PARSE = { MOCK_PARSE_LATENCY: '60m' };
const HOUR = 3_600_000;
const FAILING_EMBED = { MOCK_EMBED_FAILURE_RATE: '1', MAX_RETRIES: '0' };
/** Failures rest for minutes, longer than an upload waits. */
const RESTING_EMBED = { MOCK_EMBED_FAILURE_RATE: '1', RETRY_BASE: '10m', RETRY_CAP: '10m', DRAIN_WAIT: '1s' };
const halfway = () => 0.5;

describe('modes', () => {
  it.each([
    ['real without keys', ['-m', 'real'], {}, 'E101'],
    ['real from the environment', [], { SERVICE_MODE: 'real' }, 'E101'],
  ])('%s is exit 4 before anything is touched', async (_what, argv, env, code) => {
    const { json, rows } = workplace({ 'a.pdf': letter });
    const answer = await json(['upload', 'a.pdf', ...argv], { env });
    expect(answer).toMatchObject({
      ok: false,
      exit_code: 4,
      data: null,
      error: { code: `TVDB-${code}`, charged_nano_usd: 0 },
    });
    for (const table of ['documents', 'upload_jobs', 'runs'] as const) expect(await rows(table)).toEqual([]);
  });

  it('hybrid without keys completes on mocks and says so everywhere', async () => {
    const { json, tvdb } = workplace({ 'a.pdf': letter, 'b.pdf': unicode });
    const answer = await json(['upload', 'a.pdf', '-m', 'hybrid']);
    expect(answer).toMatchObject({
      ok: true,
      exit_code: 0,
      data: {
        degraded: true,
        mode: { requested: 'hybrid', source: 'flag', effective: { parse: 'mock', embed: 'mock' } },
        documents: [{ status: 'complete', fallback: true }],
      },
    });
    expect(answer.warnings.map(({ code }: Json) => code)).toEqual(['TVDB-W302', 'TVDB-W302', 'TVDB-W302']);
    expect(answer.warnings[2].message).toMatch(/^a\.pdf DEGRADED: .*tvdb retry --fallbacks [0-9a-f]{8}$/);
    const rich = await tvdb(['upload', 'b.pdf', '-m', 'hybrid', '--no-color', '--progress=none'], { tty: true });
    expect(rich.stderr).toContain('TVDB-W302  llamaparse falls back to MOCK: LLAMAPARSE_API_KEY is not set');
    expect(rich.stdout).toContain('DEGRADED');
    expect(rich.stdout).toContain('embed used MOCK for 1 chunk: OPENAI_API_KEY is not set');
    const events = (await tvdb(['upload', 'a.pdf', '-m', 'hybrid', '--force', '--ndjson'])).stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(events.filter(({ type }) => type === 'fallback').length).toBeGreaterThanOrEqual(2);
  });

  it('--on-fallback fail refuses hybrid without keys with exit 9, and accepts nothing', async () => {
    const { json, rows } = workplace({ 'a.pdf': letter });
    expect(await json(['upload', 'a.pdf', '-m', 'hybrid', '--on-fallback', 'fail'])).toMatchObject({
      exit_code: 9,
      error: { code: 'TVDB-E305' },
    });
    expect(await rows('upload_jobs')).toEqual([]);
    expect((await json(['upload', 'a.pdf', '--on-fallback', 'fail'])).exit_code).toBe(0);
  });

  it('--on-fallback fail says so afterwards, too, for a run that was accepted before', async () => {
    const { json } = workplace({ 'a.pdf': letter });
    const { data } = await json(['upload', 'a.pdf', '-m', 'hybrid', '--no-wait']);
    const resumed = await json(['upload', '--resume', data.run_id, '--on-fallback', 'fail']);
    expect(resumed).toMatchObject({ exit_code: 9, error: { code: 'TVDB-E305' }, data: { totals: { complete: 1 } } });
  });

  it('mock and hybrid are two configurations: neither makes the other a duplicate', async () => {
    const { json } = workplace({ 'a.pdf': letter });
    await json(['upload', 'a.pdf']);
    expect((await json(['upload', 'a.pdf', '-m', 'hybrid'])).data.documents[0].status).toBe('complete');
  });
});

describe('failures', () => {
  it('of a service that stays down fail the job with its code, and --resume goes on without a second parse', async () => {
    const { json, tvdb, rows } = workplace({ 'a.pdf': letter });
    const failed = await json(['upload', 'a.pdf'], { env: FAILING_EMBED });
    expect(failed).toMatchObject({
      exit_code: 1,
      error: { code: 'TVDB-E306' },
      data: { documents: [{ status: 'failed', error: { code: 'TVDB-E306' } }] },
    });
    const [document] = failed.data.documents;
    expect(failed.error.facts).toMatchObject({ job_id: document.job_id, correlation_id: document.correlation_id });
    expect(failed.error.fix.commands).toEqual([`tvdb upload --resume ${failed.data.run_id.slice(0, 8)}`]);
    expect(document.stages.map(({ name, status }: Json) => `${name} ${status}`)).toEqual([
      'upload ok',
      'parse ok',
      'chunk ok',
      'embed fail',
    ]);

    const resumed = await json(['upload', '--resume', failed.data.run_id.slice(0, 8)]);
    expect(resumed).toMatchObject({
      ok: true,
      data: {
        mode: { requested: 'mock', source: 'run' },
        documents: [{ job_id: document.job_id, status: 'complete' }],
      },
    });
    expect((await rows('attempts')).filter(({ service }) => service === 'parse')).toHaveLength(1);
    const again = await tvdb(['upload', '--resume', failed.data.run_id]);
    expect(again).toMatchObject({ code: 0, stdout: '' });
  });

  it('of one document leave the others alone', async () => {
    const { json, rows } = workplace({ 'a.pdf': letter, 'scan.pdf': hostile('scan-no-text.pdf') });
    const answer = await json(['upload', 'a.pdf', 'scan.pdf']);
    expect(answer).toMatchObject({
      exit_code: 7,
      error: { code: 'TVDB-E401', facts: { items: [{ name: 'scan.pdf' }] } },
      data: { totals: { documents: 2, complete: 1, failed: 1 } },
    });
    expect(await rows('runs')).toMatchObject([
      { run_id: answer.data.run_id, command: 'upload', service_mode: 'mock', exit_code: 7 },
    ]);
  });

  it('in passing are tried again within the same upload', async () => {
    let calls = 0;
    // The embedder draws once for each request; the first draw is the parser's.
    const random = () => (calls++ === 1 ? 0 : 0.9);
    const { json } = workplace({ 'a.pdf': letter });
    const answer = await json(['upload', 'a.pdf'], {
      random,
      env: { MOCK_EMBED_FAILURE_RATE: '0.5', RETRY_BASE: '1ms', RETRY_CAP: '1ms', POLL_INTERVAL: '10ms' },
    });
    expect(answer).toMatchObject({ exit_code: 0, data: { documents: [{ status: 'complete' }] } });
    expect(answer.data.documents[0].stages.find(({ name }: Json) => name === 'embed').attempts).toBe(2);
  });

  it('that rest for longer than an upload waits end it with exit 8, the reason and the time; --resume wakes them', async () => {
    const { json, tvdb } = workplace({ 'a.pdf': letter, 'b.pdf': unicode });
    const answer = await json(['upload', 'a.pdf'], { env: RESTING_EMBED, random: halfway });
    expect(answer).toMatchObject({
      ok: false,
      exit_code: 8,
      error: null,
      data: { documents: [{ status: 'parked', parked: { reason: 'retry' }, error: null }] },
    });
    expect(answer.warnings).toMatchObject([{ code: 'TVDB-W310' }]);
    const rich = await tvdb(['upload', 'b.pdf', '--no-color', '--progress=none'], {
      env: RESTING_EMBED,
      random: halfway,
      tty: true,
    });
    expect(rich.code).toBe(8);
    expect(rich.stdout).toMatch(/^Waiting {3}b\.pdf -> [0-9a-f]{8} {3}/);
    expect(rich.stderr).toContain('next   tvdb run');
    expect((await json(['upload', '--resume', answer.data.run_id])).data.documents).toMatchObject([
      { status: 'complete' },
    ]);
  });

  it('--fail-fast leaves the rest in the queue', async () => {
    const { json } = workplace({
      'a-scan.pdf': hostile('scan-no-text.pdf'),
      'b.pdf': letter,
      'c.pdf': unicode,
      'd.pdf': newsletter,
    });
    const answer = await json(['upload', '*.pdf', '--fail-fast', '--concurrency', '1']);
    expect(answer).toMatchObject({ exit_code: 7, data: { totals: { failed: 1, accepted: 3, complete: 0 } } });
    expect((await json(['upload', '--resume', answer.data.run_id])).data.totals).toMatchObject({
      documents: 4,
      complete: 3,
      failed: 1,
    });
  });
});

describe('time and interruption', () => {
  it('--timeout leaves the job in the queue with exit 8; what was begun is given back', async () => {
    const parsing = gate();
    const clock = steeredClock((ms) => {
      if (ms === HOUR) parsing.open();
      // The limit of time is reached once the parse is on its way, and so is the time to settle after it.
      if (ms === 300_000 || ms === 10_000) return parsing.opened;
      return ms === HOUR ? new Promise(() => {}) : undefined;
    });
    const { json, rows } = workplace({ 'a.pdf': letter });
    const answer = await json(['upload', 'a.pdf', '--timeout', '5m'], {
      env: { ...SLOW_PARSE, HEARTBEAT_INTERVAL: '9s' },
      clock,
    });
    expect(answer).toMatchObject({ exit_code: 8, error: null, data: { totals: { accepted: 1 } } });
    expect(await rows('upload_jobs')).toMatchObject([{ status: 'parse_queued', lease_owner: null }]);
    expect(await json(['run'])).toMatchObject({ exit_code: 0, data: { processed: 1, by_status: { complete: 1 } } });
  });

  it('the first Ctrl-C settles what is under way, exits 130 and prints how to go on; that parses nothing twice (T99)', async () => {
    const signals = new EventEmitter();
    const clock = steeredClock((ms) => {
      if (ms !== HOUR) return undefined;
      signals.emit('SIGINT');
      return Promise.resolve();
    });
    const { tvdb, rows } = workplace({ 'a.pdf': letter, 'b.pdf': unicode });
    const { code, stdout, stderr } = await tvdb(['upload', 'a.pdf', 'b.pdf', '--concurrency', '1'], {
      env: SLOW_PARSE,
      clock,
      signals,
    });
    expect(code).toBe(130);
    expect(
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => line.split('\t')[1]),
    ).toEqual(['accepted', 'accepted']);
    const [, run] = /resume {1}tvdb upload --resume ([0-9a-f]{8})/.exec(stderr) ?? [];
    expect(run, stderr).toBeDefined();
    expect(await rows('runs')).toMatchObject([{ exit_code: 130 }]);
    expect((await rows('upload_jobs')).map(({ lease_owner }) => lease_owner)).toEqual([null, null]);
    const resumed = await tvdb(['upload', '--resume', run ?? '', '-q']);
    expect(resumed.code).toBe(0);
    expect((await rows('attempts')).filter(({ service }) => service === 'parse')).toHaveLength(2);
  });

  it('Ctrl-C while documents are read accepts nothing', async () => {
    const signals = new EventEmitter();
    const { tvdb, rows } = workplace({ 'a.pdf': letter });
    const onOutput = (stream: string) =>
      stream === 'stdout' && signals.listenerCount('SIGINT') > 0 && signals.emit('SIGINT');
    const { code } = await tvdb(['upload', 'a.pdf', '--ndjson'], { signals, onOutput });
    expect(code).toBe(130);
    expect(await rows('upload_jobs')).toEqual([]);
  });
});

describe('--no-wait', () => {
  it('accepts, prints the ids and leaves the work to `run`; --exit-status says that some is left', async () => {
    const { tvdb, json } = workplace({ 'a.pdf': letter, 'b.pdf': unicode });
    const first = await tvdb(['upload', 'a.pdf', '--no-wait', '-q']);
    expect(first.code).toBe(0);
    expect(first.stdout).toMatch(/^[0-9a-f-]{36}\n$/);
    expect((await json(['upload', 'b.pdf', '--no-wait', '--exit-status'])).exit_code).toBe(8);
    expect(await json(['run'])).toMatchObject({ exit_code: 0, data: { processed: 2, left_in_queue: 0 } });
  });

  it('a second upload of the same document attaches to the job in flight and brings it to its end', async () => {
    const { json, rows } = workplace({ 'a.pdf': letter });
    const [waiting] = (await json(['upload', 'a.pdf', '--no-wait'])).data.documents;
    const attached = await json(['upload', 'a.pdf']);
    expect(attached.data.documents).toMatchObject([{ job_id: waiting.job_id, attached: true, status: 'complete' }]);
    expect(await rows('upload_jobs')).toHaveLength(1);
  });

  it('a second upload waits for the job that another process has in hand', async () => {
    const { json, rows } = workplace({ 'a.pdf': letter });
    const begun = gate();
    const released = gate();
    const slow = steeredClock((ms) => {
      if (ms !== HOUR) return undefined;
      begun.open();
      return released.opened;
    });
    const first = json(['upload', 'a.pdf'], { env: SLOW_PARSE, clock: slow });
    await begun.opened;
    // The second looks at the queue every 77 ms; its third look lets the first go on.
    let looks = 0;
    const watching = steeredClock((ms) => {
      if (ms === 77 && ++looks === 3) released.open();
      return undefined;
    });
    const second = await json(['upload', 'a.pdf'], { env: { ...SLOW_PARSE, POLL_INTERVAL: '77ms' }, clock: watching });
    expect(second.data.documents).toMatchObject([{ attached: true, status: 'complete' }]);
    expect((await first).data.documents).toMatchObject([{ attached: false, status: 'complete' }]);
    expect((await rows('attempts')).filter(({ service }) => service === 'parse')).toHaveLength(1);
  });
});
