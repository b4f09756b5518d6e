/** `tvdb run`: what it takes from the queue, when it ends, and what it says. */
import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { hostile, type Json, letter, newsletter, steeredClock, unicode, workplace } from './workplace.ts';

describe('tvdb run', () => {
  it('drains the queue and says what it did, one row for each thing that went out or came back', async () => {
    const { tvdb, json } = workplace({ 'a.pdf': letter, 'b.pdf': unicode });
    const { data } = await json(['upload', 'a.pdf', 'b.pdf', '--no-wait']);
    const { code, stdout, stderr } = await tvdb(['run', '--concurrency', '1']);
    expect(code).toBe(0);
    const rows = stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split('\t'));
    const ofFirst = rows
      .filter(([, job]) => job === data.documents[0].job_id)
      .map(([, , stage, status]) => `${stage} ${status}`);
    expect(ofFirst).toEqual(['parse start', 'parse ok', 'chunk ok', 'embed start', 'embed ok', 'store done']);
    expect(rows.every((row) => row.length === 7 && row[6]?.endsWith('.pdf'))).toBe(true);
    expect(stderr).toContain('2 waiting, 0 parked, 0 failed');
    expect(stderr).toMatch(/idle {6}2 done {3}0 left in the queue/);
  });

  it('draws arrows on a terminal, no line wider than 80 columns', async () => {
    const { tvdb } = workplace({ 'a.pdf': letter });
    expect((await tvdb(['upload', 'a.pdf', '--no-wait'])).stderr).toContain('next   tvdb run');
    const { stdout, stderr } = await tvdb(['run', '--no-color'], { tty: true });
    expect(stderr).toMatch(/^Ready {5}all modes {3}Ctrl-C to stop\n {10}queue {3}1 waiting, 0 parked, 0 failed\n/);
    expect(stdout).toMatch(/^\d\d:\d\d:\d\d --> parse {2}[0-9a-f]{8} {2}a\.pdf {2}1 page\n/);
    expect(stdout).toMatch(/ <-- embed {2}[0-9a-f]{8} {2}a\.pdf {2}ok {2}1 vector {2}\d/);
    expect(stdout).toMatch(/\nidle {6}1 done {3}0 left in the queue {3}\d+\.\ds\n$/);
    for (const line of `${stdout}${stderr}`.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  });

  it('answers an empty queue with zeros and exit 0', async () => {
    const { json } = workplace();
    expect(await json(['run'])).toMatchObject({
      schema: 'tvdb.run/v1',
      ok: true,
      data: {
        stopped_by: 'drained',
        processed: 0,
        by_status: {},
        failed: 0,
        fallbacks: 0,
        left_in_queue: 0,
        parked: [],
        cost: { total_nano_usd: 0 },
      },
    });
  });

  it('--once takes one job, the one of the highest priority', async () => {
    const { json } = workplace({ 'a.pdf': letter, 'b.pdf': unicode });
    await json(['upload', 'a.pdf', '--no-wait']);
    const urgent = (await json(['upload', 'b.pdf', '--no-wait', '--priority', '9'])).data.documents[0];
    const answer = await json(['run', '--once', '--concurrency', '4']);
    expect(answer.data).toMatchObject({
      stopped_by: 'limit',
      processed: 1,
      left_in_queue: 1,
      jobs: [{ job_id: urgent.job_id, status: 'complete' }],
    });
    expect((await json(['run', '--once'])).data).toMatchObject({ processed: 1, left_in_queue: 0 });
    expect((await json(['run', '--once'])).data).toMatchObject({ stopped_by: 'drained', processed: 0 });
  });

  it('takes only the jobs of one run, or of one mode, when told to', async () => {
    const { json } = workplace({ 'a.pdf': letter, 'b.pdf': unicode, 'c.pdf': newsletter });
    const a = (await json(['upload', 'a.pdf', '--no-wait'])).data;
    const b = (await json(['upload', 'b.pdf', '--no-wait', '-m', 'hybrid'])).data;
    await json(['upload', 'c.pdf', '--no-wait']);
    expect((await json(['run', '--only-run', a.run_id.slice(0, 8)])).data).toMatchObject({
      processed: 1,
      left_in_queue: 0,
      jobs: [{ job_id: a.documents[0].job_id }],
    });
    expect((await json(['run', '-m', 'hybrid'])).data).toMatchObject({
      processed: 1,
      fallbacks: 1,
      jobs: [{ job_id: b.documents[0].job_id, fallback: true }],
    });
    expect((await json(['run'])).data.processed).toBe(1);
    expect(await json(['run', '--only-run', 'ffffffff'])).toMatchObject({ exit_code: 2, error: { code: 'TVDB-E006' } });
    expect(await json(['run', '-m', 'real'])).toMatchObject({ exit_code: 4, error: { code: 'TVDB-E101' } });
    expect(await json(['run', '--once', '--watch'])).toMatchObject({ exit_code: 2, error: { code: 'TVDB-E009' } });
  });

  it('goes on after a failure and exits 7 when some failed, 1 when all did', async () => {
    const { json } = workplace({
      'a.pdf': letter,
      'scan.pdf': hostile('scan-no-text.pdf'),
      'drawing.pdf': hostile('drawing-no-text.pdf'),
    });
    await json(['upload', 'a.pdf', 'scan.pdf', '--no-wait']);
    const partial = await json(['run']);
    expect(partial).toMatchObject({
      exit_code: 7,
      error: { code: 'TVDB-E401', facts: { items: [{ name: 'scan.pdf' }] } },
      data: { processed: 2, failed: 1, by_status: { complete: 1, failed_parse: 1 } },
    });
    await json(['upload', 'drawing.pdf', '--no-wait']);
    expect(await json(['run'])).toMatchObject({ exit_code: 1, data: { processed: 1, failed: 1 } });
  });

  it('leaves jobs that rest, and says why and until when', async () => {
    const { json, tvdb } = workplace({ 'a.pdf': letter });
    await json(['upload', 'a.pdf', '--no-wait']);
    const env = { MOCK_EMBED_FAILURE_RATE: '1', RETRY_BASE: '10m', RETRY_CAP: '10m', DRAIN_WAIT: '1s' };
    const answer = await json(['run'], { env, random: () => 0.5 });
    expect(answer).toMatchObject({
      exit_code: 0,
      data: { processed: 1, failed: 0, left_in_queue: 1, parked: [{ reason: 'retry', jobs: 1 }] },
    });
    expect(Date.parse(answer.data.parked[0].until)).toBeGreaterThan(Date.now() + 60_000);
    expect((await tvdb(['run'], { env })).stderr).toMatch(
      /TVDB-W310 {2}1 job parked: trying again after a failure, until \d\d:\d\d:\d\d/,
    );
  });

  it('--watch waits for new jobs until it was idle for --idle-timeout', async () => {
    const { json, tvdb } = workplace({ 'a.pdf': letter, 'b.pdf': unicode });
    expect((await tvdb(['upload', 'a.pdf', '--no-wait'])).stderr).toContain('next   tvdb run');
    let second: Promise<Json> | undefined;
    let ticks = 0;
    // The queue is looked at every 77 ms. Time passes for the idle limit only with such looks, and not before the second
    // job, which the first look brings about, is in the queue.
    const steered = steeredClock((ms) => {
      if (ms !== 77) return undefined;
      second ??= json(['upload', 'b.pdf', '--no-wait']);
      return second
        .then(() => new Promise((resolve) => setImmediate(resolve)))
        .then(() => {
          ticks += 77;
        });
    });
    const clock = { ...steered, monotonic: () => ticks };
    const answer = await json(['run', '--watch', '--idle-timeout', '100ms', '--concurrency', '1'], {
      env: { POLL_INTERVAL: '77ms' },
      clock,
    });
    expect(answer).toMatchObject({ exit_code: 0, data: { stopped_by: 'idle', processed: 2 } });
  });

  it('--watch ends at Ctrl-C with 130, its answer printed and every job given back', async () => {
    const { tvdb, rows } = workplace({ 'a.pdf': letter });
    await tvdb(['upload', 'a.pdf', '--no-wait']);
    const signals = new EventEmitter();
    const onOutput = (stream: string, text: string) =>
      stream === 'stdout' && text.includes('"parse"') && signals.emit('SIGINT');
    const { code, stdout, stderr } = await tvdb(['run', '--watch', '--ndjson'], { signals, onOutput });
    expect(code).toBe(130);
    expect(JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')).toMatchObject({
      type: 'result',
      exit_code: 130,
      data: { stopped_by: 'stopped', left_in_queue: 1 },
    });
    expect(stderr).toContain('resume tvdb run');
    expect(await rows('upload_jobs')).toMatchObject([{ lease_owner: null }]);
    expect((await rows('runs')).map(({ command, exit_code }) => [command, exit_code])).toEqual([
      ['upload', 0],
      ['run', 130],
    ]);
  });
});
