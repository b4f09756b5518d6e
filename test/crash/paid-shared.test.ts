/** Several real processes on one store and one simulator: limits, the breaker and keys are those of all together. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { makeMany } from '../../fixtures/mutate.mjs';
import { sha256 } from '../../src/base/hash.ts';
import { openStore } from '../../src/store/open.ts';
import { storeSide } from './paid-store.ts';
import { judge, mostAtATime } from './paid-witness.ts';
import { audit, type Ended } from './processes.ts';
import { openCase, upload } from './simulator-process.ts';

/** Ended well, and showed nobody a busy store. */
function expectQuiet(all: readonly Ended[]): void {
  for (const { code, out, err } of all)
    expect([code, out + err]).toEqual([0, expect.not.stringMatching(/SQLITE|busy|E501/i)]);
}

describe('T06 several processes', () => {
  it('that upload the same document at once pay for one parse', async (hooks) => {
    const paid = await openCase(hooks);
    await makeMany(paid.documents, 1, 48);
    const all = await Promise.all(Array.from({ length: 8 }, () => paid.run(upload(paid.documents))));
    expectQuiet(all);
    const verdict = await judge(paid);
    expect(verdict).toMatchObject({ problems: [], creates: 1, accepted: 1, embeddedAgain: 0 });
    await audit(paid.home);
  });

  it('that work on one queue send each parse once and never more than LLAMAPARSE_PARALLEL at a time', async (hooks) => {
    const paid = await openCase(hooks, { latency: 'parse=150ms,page=10ms,embed=20ms' });
    await makeMany(paid.documents, 20, 49);
    const env = { LLAMAPARSE_PARALLEL: '3', EMBED_BATCH_SIZE: '16' };
    expect((await paid.run([...upload(paid.documents), '--no-wait'], env)).code).toBe(0);
    const all = await Promise.all(Array.from({ length: 8 }, () => paid.run(['run'], env)));
    expectQuiet(all);
    const verdict = await judge(paid);
    expect(verdict).toMatchObject({
      problems: [],
      creates: 20,
      accepted: 20,
      duplicates: 0,
      lost: 0,
      embeddedAgain: 0,
    });
    expect([1, 2, 3]).toContain(mostAtATime(paid.simulator.requests()));
    await audit(paid.home);
  });
});

describe('T30 a process that is stopped while the service answers it', () => {
  it('loses its job to another one, which adopts the parse; woken up again it pays for nothing', async (hooks) => {
    const paid = await openCase(hooks, { faults: 'parse.create=delay:300ms' });
    await makeMany(paid.documents, 1, 55);
    const env = { LEASE_DURATION: '2s', HEARTBEAT_INTERVAL: '500ms' };
    const stopped = paid.start(upload(paid.documents), env);
    // The create is in the log before its answer leaves.
    await vi.waitFor(() => expect(paid.simulator.requests('parse.create')).toHaveLength(1), { timeout: 60_000 });
    stopped.kill('SIGSTOP');
    const other = await paid.run(['run'], env);
    expect([other.code, other.err]).toEqual([0, expect.any(String)]);
    stopped.kill('SIGCONT');
    const woken = await stopped.ended;
    expect([woken.code, woken.err]).toEqual([0, expect.any(String)]);
    const verdict = await judge(paid);
    expect(verdict).toMatchObject({ problems: [], creates: 1, accepted: 1, embeddedAgain: 0 });
    await audit(paid.home);
  });
});

describe('the breaker of two processes', () => {
  const trouble = { BREAKER_FAILURES: '3', WORKER_CONCURRENCY: '1' };

  it('that one opens keeps the other from sending anything, until the user closes it', async (hooks) => {
    const paid = await openCase(hooks, { faults: 'files.create=500x3' });
    const [one, two] = await makeMany(paid.documents, 2, 50);
    const env = { ...trouble, BREAKER_PAUSE: '1h', DRAIN_WAIT: '1s' };
    const first = await paid.run(upload(one ?? ''), env);
    expect(paid.simulator.requests().map(({ status }) => status)).toEqual([500, 500, 500]);
    const second = await paid.run(upload(two ?? ''), env);
    expect([first.code, second.code, first.err, second.err]).toEqual([8, 8, expect.any(String), expect.any(String)]);
    expect(paid.simulator.requests()).toHaveLength(3);
    const health = JSON.parse((await paid.run(['health', '--json'], env)).out).data;
    expect(JSON.stringify(health)).toMatch(/"state":"open"/);
    expect((await paid.run(['health', 'llamaparse', '--reset'], env)).code).toBe(0);
    const jobs = (await storeSide(paid.home)).jobs.map(({ job_id: id }) => id);
    const retried = await paid.run(['retry', ...jobs, '--yes'], env);
    expect([retried.code, retried.err]).toEqual([0, expect.any(String)]);
    expect(await judge(paid)).toMatchObject({ problems: [], creates: 2, accepted: 2 });
  });

  it('that work at once pauses both, and lets one request of both through at a time', async (hooks) => {
    const paid = await openCase(hooks, { faults: 'files.create=500x5' });
    await makeMany(paid.documents, 6, 51);
    const env = { ...trouble, BREAKER_PAUSE: '700ms' };
    expect((await paid.run([...upload(paid.documents), '--no-wait'], env)).code).toBe(0);
    expectQuiet(await Promise.all([paid.run(['run'], env), paid.run(['run'], env)]));
    const sent = paid.simulator.requests().map(({ at, status }) => ({ at: Date.parse(at), status }));
    const last = sent.findLastIndex(({ status }) => status === 500);
    // The third failure opens it; a request of the other process may be on its way by then.
    const opened = sent[2]?.at ?? 0;
    const early = sent.slice(3).filter(({ at }) => at < opened + 700);
    const tries = sent.slice(3 + early.length, last + 2).map(({ at }) => at);
    const pauses = tries.slice(1).map((at, index) => at - (tries[index] ?? 0));
    expect([early.length <= 1, tries.length >= 2, pauses.filter((pause) => pause < 1_400)]).toEqual([true, true, []]);
    expect(await judge(paid)).toMatchObject({ problems: [], creates: 6, accepted: 6 });
  });
});

describe('a key that is refused', () => {
  it('is replaced by the second key once in each process, which the log and the audit say', async (hooks) => {
    const paid = await openCase(hooks);
    const { LLAMAPARSE_API_KEY: llama = '', OPENAI_API_KEY: openai = '' } = paid.simulator.env;
    const second = {
      LLAMAPARSE_API_KEY_SECONDARY: 'llx-second-of-the-tests',
      OPENAI_API_KEY_SECONDARY: 'sk-second-of-the-tests',
    };
    await paid.simulator.control('keys', { refused: [llama, openai] });
    await makeMany(paid.documents, 6, 52);
    const env = { ...second, WORKER_CONCURRENCY: '1', EMBED_BATCH_SIZE: '64' };
    expect((await paid.run([...upload(paid.documents), '--no-wait'], env)).code).toBe(0);
    expectQuiet(await Promise.all([paid.run(['run'], env), paid.run(['run'], env)]));
    expect(await judge(paid)).toMatchObject({ problems: [], creates: 6, accepted: 6, embeddedAgain: 0 });

    const store = openStore({ home: join(paid.home, 'store') });
    const lines = await store.db.selectFrom('key_audit').selectAll().execute();
    await store.close();
    const logs = join(paid.home, 'store', 'logs');
    const log = readdirSync(logs)
      .map((name) => readFileSync(join(logs, name), 'utf8'))
      .join('');
    for (const [service, old, next] of [
      ['llamaparse', llama, second.LLAMAPARSE_API_KEY_SECONDARY],
      ['openai', openai, second.OPENAI_API_KEY_SECONDARY],
    ] as const) {
      const requests = paid.simulator
        .requests()
        .filter((one) => one.service === (service === 'openai' ? 'openai' : 'llama'));
      const refused = requests.filter(({ status }) => status === 401);
      expect(new Set(refused.map(({ headers }) => headers.authorization))).toEqual(new Set([sha256(old).slice(0, 8)]));
      expect(requests.filter(({ status }) => status === 200).map(({ headers }) => headers.authorization)).toEqual(
        requests.filter(({ status }) => status === 200).map(() => sha256(next).slice(0, 8)),
      );
      const events = (event: string) =>
        lines.filter((line) => line.service === service && line.event === event).map(({ fingerprint }) => fingerprint);
      const switches = events('switched').length;
      expect([1, 2]).toContain(switches);
      // Requests of one process that were on their way together meet the refusal together.
      expect(refused.length).toBeGreaterThanOrEqual(switches);
      if (service === 'llamaparse') expect(refused).toHaveLength(switches);
      expect(events('refused')).toEqual(events('switched').map(() => sha256(old).slice(0, 8)));
      expect(events('switched')).toEqual(events('switched').map(() => sha256(next).slice(0, 8)));
      expect(events('first_use').sort()).toEqual([old, next].map((key) => sha256(key).slice(0, 8)).sort());
      expect(log.match(new RegExp(`"key.switched".*"${service}"`, 'g'))).toHaveLength(switches);
      expect([old, next].filter((key) => log.includes(key))).toEqual([]);
    }
  });
});

describe.runIf(Number(process.env.TVDB_CRASH_KILLS ?? '1') > 1)('a hundred documents', () => {
  /** About one request in twenty goes wrong, of every kind. */
  const FAULTS = [
    ...['parse.create=500~0.015', 'parse.create=cut~0.02', 'parse.create=429:retry-after=1~0.015'],
    ...['files.create=502~0.03', 'files.create=cut~0.02', 'parse.get=500~0.05', 'parse.result=truncated~0.05'],
    ...['parse.list=500~0.05', 'embeddings=cut~0.02', 'embeddings=500~0.02', 'embeddings=429:retry-after=1~0.01'],
  ].join(',');

  it('with faults at a rate of 5 % and three kills are all complete, each parsed once', async (hooks) => {
    const paid = await openCase(hooks, { faults: FAULTS, seed: 7 });
    await makeMany(paid.documents, 100, 53);
    const env = { BREAKER_FAILURES: '20', LLAMAPARSE_PARALLEL: '10', EMBED_BATCH_SIZE: '8', BREAKER_PAUSE: '1s' };
    const started = performance.now();
    for (const [command, fault] of [
      [upload(paid.documents), 'parse.after_send:25'],
      [['run'], 'embed.after_batch:20'],
      [['run'], 'stage.before_commit:90'],
    ] as const) {
      expect((await paid.run(command, { ...env, TVDB_FAULT: fault })).signal).toBe('SIGKILL');
    }
    // Two lost embedding requests in a row make a document wait for its user, who says: go on.
    let rounds = 0;
    let asked = 0;
    for (; rounds < 5; rounds += 1) {
      await paid.run(['run'], env);
      const held = (await storeSide(paid.home)).jobs.filter((job) => job.held === 1);
      if (held.length === 0) break;
      asked += held.length;
      await paid.run(['retry', ...held.map(({ job_id: id }) => id), '--no-wait', '--yes'], env);
    }
    const verdict = await judge(paid, { embeddedAgain: 6 });
    expect(verdict).toMatchObject({ problems: [], accepted: 100, duplicates: 0, lost: 0 });
    await audit(paid.home);
    const { events, problems: _none, ...figures } = verdict;
    const requests = paid.simulator.requests();
    const faults = requests.filter(({ fault }) => fault !== null).length;
    const { PARSE_ADOPTED: adopted = 0, PARSE_ABSENT: absent = 0 } = events;
    const seconds = Math.round((performance.now() - started) / 1_000);
    await hooks.annotate(
      JSON.stringify({ requests: requests.length, faults, ...figures, adopted, absent, rounds, asked, seconds }),
    );
  });
});
