/** The governor over a real store: waits, refusals, what headers teach, the retry budget. */
import { describe, expect, it } from 'vitest';
import { asked, CREATE, machine, never, POLL, report, upstream } from './governor-harness.ts';

const EMBED = { operation: 'embeddings.create', billable: true, tokens: 1_000 };
const RATE = { LLAMAPARSE_REQUESTS_PER_MINUTE: '60' };

describe('admit', () => {
  it('lets a burst through at once, then waits itself while the wait is short', async () => {
    const { clock, start, settle } = machine();
    const { governor } = start({ env: RATE });
    for (let n = 0; n < 20; n++) expect(await asked(governor)).toBe('pass');
    let passed = false;
    const waiting = governor.admit(CREATE, never).then(() => {
      passed = true;
    });
    await settle();
    await clock.advance(999);
    expect(passed).toBe(false);
    await clock.advance(1);
    await waiting;
    expect(passed).toBe(true);
  });

  it('throws E301 with the time when the wait is longer, and names nothing secret', async () => {
    const { start } = machine();
    const { governor } = start({ env: { LLAMAPARSE_REQUESTS_PER_MINUTE: '1' } });
    expect(await asked(governor)).toBe('pass');
    await expect(governor.admit(CREATE, never)).rejects.toMatchObject({
      code: 'E301',
      retry: { kind: 'after', ms: 60_000 },
      chargedNanoUsd: 0,
      facts: { service: 'llamaparse', operation: 'parse.create', limit: 'requests' },
    });
  });

  it('takes requests and tokens both or neither', async () => {
    const { start, store } = (() => {
      const one = machine();
      const process = one.start({ service: 'openai', env: { OPENAI_TOKENS_PER_MINUTE: '1000' } });
      return { start: () => process.governor, store: process.store };
    })();
    const governor = start();
    expect(await asked(governor, EMBED)).toBe('pass');
    const requests = () =>
      store.db.selectFrom('rate_buckets').select('tokens').where('name', '=', 'openai:requests').executeTakeFirst();
    const before = await requests();
    expect(await asked(governor, EMBED)).toEqual(['E301', 60_000]);
    expect(await requests()).toEqual(before);
  });

  it('stops waiting when it is told to, and gives its place back', async () => {
    const { clock, start, settle } = machine();
    const { governor } = start({ env: RATE });
    for (let n = 0; n < 20; n++) await governor.admit(CREATE, never);
    const stop = new AbortController();
    const refused = expect(governor.admit(CREATE, stop.signal)).rejects.toThrow('stopped');
    await settle();
    stop.abort(new Error('stopped'));
    await refused;
    await clock.advance(1_000);
    expect(await asked(governor)).toBe('pass');
    expect(clock.sleepers).toBe(0);
    await expect(governor.admit(CREATE, AbortSignal.abort(new Error('at once')))).rejects.toThrow('at once');
  });

  it('does not let those through who were waiting when the account was refused or a pause began', async () => {
    for (const answer of [{ code: 'E112' }, { code: 'E301', waitMs: 60_000 }] as const) {
      const { clock, start, settle } = machine();
      const { governor } = start({ env: RATE });
      for (let n = 0; n < 20; n++) await governor.admit(CREATE, never);
      const waiting = [asked(governor), asked(governor)];
      await settle();
      await report(governor, CREATE, answer);
      await clock.advance(2_000);
      const results = (await Promise.all(waiting)).map((one) => (typeof one === 'string' ? one : one[0]));
      expect(results).toEqual([answer.code, answer.code]);
    }
  });
});

describe('what a service says about its limits', () => {
  it('replaces the limit that is set, for every process and the next start, until the setting changes', async () => {
    const { home, clock, start } = machine();
    const { governor } = start({ service: 'openai' });
    await governor.admit(EMBED, never);
    const headers = {
      'x-ratelimit-limit-requests': '100',
      'x-ratelimit-remaining-requests': '3',
      'x-ratelimit-reset-requests': '58s',
      'x-ratelimit-limit-tokens': '40000',
      'x-ratelimit-limit-project-tokens': '30000',
      'x-ratelimit-remaining-tokens': '39000',
    };
    await report(governor, EMBED, { headers });
    const { start: restart } = machine(home, clock);
    const { governor: later, store } = restart({ service: 'openai' });
    for (let n = 0; n < 3; n++) expect(await asked(later, EMBED)).toBe('pass');
    const row = (name: string) =>
      store.db.selectFrom('rate_buckets').selectAll().where('name', '=', name).executeTakeFirstOrThrow();
    expect(await row('openai:requests')).toMatchObject({ capacity: 20, per_ms: 100 / 60_000, tokens: 0 });
    expect(await row('openai:tokens')).toMatchObject({ capacity: 30_000, tokens: 27_000 });
    const { governor: changed } = restart({ service: 'openai', env: { OPENAI_TOKENS_PER_MINUTE: '500000' } });
    await clock.advance(1_000);
    expect(await asked(changed, EMBED)).toBe('pass');
    expect(await row('openai:tokens')).toMatchObject({ capacity: 500_000, configured: 500_000 });
  });

  it('is not believed when it is no figure, nor when it says that more is left than we know', async () => {
    const { start } = machine();
    const { governor, store } = start({ service: 'openai' });
    await governor.admit(EMBED, never);
    const before = await store.db.selectFrom('rate_buckets').selectAll().orderBy('name').execute();
    const headers = {
      'x-ratelimit-limit-requests': '-5',
      'x-ratelimit-remaining-requests': '999999',
      'x-ratelimit-limit-tokens': '1e309',
      'x-ratelimit-remaining-tokens': 'NaN',
      'x-ratelimit-reset-tokens': '1 fortnight',
    };
    await report(governor, EMBED, { headers });
    expect(await store.db.selectFrom('rate_buckets').selectAll().orderBy('name').execute()).toEqual(before);
  });

  it('with a 429 stops every process for as long as it says, 300 s at most', async () => {
    const { start } = machine();
    const [one, two] = [start().governor, start().governor];
    await one.admit(CREATE, never);
    await report(one, CREATE, { code: 'E301', waitMs: 20_000 });
    expect(await asked(two)).toEqual(['E301', 20_000]);
    expect(await asked(two, POLL)).toEqual(['E301', 20_000]);
    expect(await two.state()).toMatchObject({ open: false, why: 'rate_limited' });
    await report(one, CREATE, { code: 'E301', waitMs: 1e12 });
    expect(await asked(two)).toEqual(['E301', 300_000]);
  });

  it('T71 by `Retry-After: 0` again and again is waited for all the same', async () => {
    const { clock, start, settle } = machine();
    const { governor } = start({ env: { BREAKER_FAILURES: '100', LLAMAPARSE_REQUESTS_PER_MINUTE: '60000' } });
    const sent: number[] = [];
    const loop = (async () => {
      for (let n = 0; n < 5; n++) {
        await governor.admit(CREATE, never);
        sent.push(clock.monotonic());
        await report(governor, CREATE, { code: 'E301', waitMs: 0 });
      }
    })();
    await settle();
    await clock.advance(5_000);
    await loop;
    for (const [index, at] of sent.entries())
      if (index > 0) expect(at - (sent[index - 1] ?? 0)).toBeGreaterThanOrEqual(100);
  });

  it('with a 503 that says when to come back is heeded, too', async () => {
    const { start } = machine();
    const { governor } = start();
    const exchange = { ...POLL, latencyMs: 5, httpStatus: 503, headers: { 'retry-after': '30' } };
    await governor.report({ ...exchange, error: upstream('E303') });
    expect(await asked(governor)).toEqual(['E301', 30_000]);
  });

  it('counts requests that were refused together once, and opens the breaker when it never ends', async () => {
    const { clock, start } = machine();
    const { governor } = start();
    for (let round = 1; round <= 5; round++) {
      for (let n = 0; n < 30; n++) await report(governor, CREATE, { code: 'E301', latencyMs: 10 });
      expect(await governor.state()).toMatchObject({ open: round === 5, why: 'rate_limited' });
      await clock.advance(80_000);
      // Sent with the others, and slow: not another refusal.
      if (round < 5) await report(governor, CREATE, { code: 'E301', latencyMs: 90_000 });
      await clock.advance(80_000);
    }
    expect(await asked(governor)).toBe('pass');
    await report(governor, CREATE, { code: 'E301' });
    expect(await governor.state()).toMatchObject({ open: true, why: 'rate_limited' });
  });
});

describe('report', () => {
  it('never throws, whatever becomes of the store', async () => {
    const { start } = machine();
    const { governor, store } = start();
    store.sqlite.exec('DROP TABLE service_health');
    await report(governor, CREATE, { code: 'E307' });
  });

  it('of what admit itself has thrown tells nothing about the service', async () => {
    const { start } = machine();
    const { governor, store } = start();
    for (let n = 0; n < 20; n++)
      await governor.report({ ...CREATE, latencyMs: 0, httpStatus: null, headers: {}, error: upstream('E301', 5_000) });
    expect(await store.db.selectFrom('service_health').selectAll().execute()).toEqual([]);
    expect(await asked(governor)).toBe('pass');
  });
});

describe('the retry budget', () => {
  it('is ten, and a tenth of all calls, for all processes together', async () => {
    const { clock, start } = machine();
    const env = { LLAMAPARSE_REQUESTS_PER_MINUTE: '60000' };
    const [one, two] = [start({ env }).governor, start({ env }).governor];
    const spend = async () => {
      let allowed = 0;
      while (await (allowed % 2 === 0 ? one : two).retryAllowed()) allowed += 1;
      return allowed;
    };
    expect(await spend()).toBe(10);
    for (let n = 0; n < 55; n++) await one.admit(CREATE, never);
    expect(await spend()).toBe(5);
    await clock.advance(86_400_000);
    expect(await spend()).toBe(0);
  });
});
