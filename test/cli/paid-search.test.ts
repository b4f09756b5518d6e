/** `search` with a paid query: its attempt, its money, the cache, and what stands in when the service fails. */

import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openStore } from '../../src/store/open.ts';
import { paidPlace } from './paid-place.ts';

async function library(mode: string) {
  const place = await paidPlace();
  await place.json(['upload', 'letter.pdf', '-m', mode], { env: place.env });
  const before = place.sent('embeddings').length;
  const queries = () => place.sent('embeddings').slice(before);
  const attempts = async () => (await place.rows('attempts')).filter(({ operation }) => operation === 'search');
  return { ...place, queries, attempts };
}

describe('a paid query', () => {
  it('has an attempt and a hold that are settled with what was billed; the same query again costs no request', async () => {
    const { json, env, queries, attempts, home } = await library('real');
    const first = await json(['search', 'roof slates', '-m', 'real'], { env });
    expect(first.data).toMatchObject({
      cached: false,
      services: { openai: { use: 'real' } },
      cost: { tokens: expect.any(Number) },
    });
    expect(first.data.cost.total_nano_usd).toBeGreaterThan(0);
    const [row] = await attempts();
    expect(row).toMatchObject({ service: 'embed', operation: 'search', origin: 'real', outcome: 'ok' });
    expect(row.attempt_id).toBe(queries()[0]?.attemptId);
    expect(row.sent).toBeGreaterThan(0);
    const store = openStore({ home: join(home, 'data/tvdb') });
    const hold = await store.db
      .selectFrom('holds')
      .selectAll()
      .where('attempt_id', '=', row.attempt_id)
      .executeTakeFirst();
    await store.close();
    expect(hold).toMatchObject({ state: 'settled', settled_amount: first.data.cost.total_nano_usd, job_id: null });
    const again = await json(['search', 'roof slates', '-m', 'real'], { env });
    expect(again.data).toMatchObject({ cached: true, cost: { total_nano_usd: 0, tokens: 0 } });
    expect(again.data.results).toEqual(first.data.results);
    expect(queries()).toHaveLength(1);
  });

  it('commits its intent before it leaves: it is there when the answer never comes', async () => {
    const { tvdb, env, simulator, attempts } = await library('real');
    simulator.control.faults('embeddings=cut');
    const { code, stderr } = await tvdb(['search', 'roof slates', '-m', 'real'], { env });
    expect(code).toBe(6);
    expect(stderr).toContain('TVDB-E307');
    expect(await attempts()).toMatchObject([{ outcome: 'unknown', sent: expect.any(Number) }]);
  });

  it('falls back in hybrid with a warning that says why, and searches the mock space', async () => {
    const { json, env, simulator } = await library('hybrid');
    simulator.control.faults('embeddings=rate:retry-after=0*');
    const answer = await json(['search', 'roof slates', '-m', 'hybrid'], { env });
    expect(answer.exit_code).toBe(0);
    expect(answer.data).toMatchObject({
      embedding_space: 'mock/hash-ngram@1/1536',
      services: { openai: { use: 'mock', why: 'rate_limited', fallback: true } },
      results: [],
    });
    expect(answer.warnings[0].message).toMatch(/falls back to MOCK: .*TVDB-E301/);
  });

  it('never falls back in real, nor in a space that was named', async () => {
    const { json, env, simulator } = await library('real');
    simulator.control.faults('embeddings=rate:retry-after=0*');
    expect((await json(['search', 'a b', '-m', 'real'], { env })).exit_code).toBe(6);
    const named = ['search', 'a b', '-m', 'hybrid', '--space', 'openai/text-embedding-3-small/1536'];
    expect((await json(named, { env })).exit_code).toBe(6);
  });

  it('follows the wish for one service', async () => {
    const { json, env, queries } = await library('real');
    const answer = await json(['search', 'roof', '-m', 'real'], { env: { ...env, SERVICE_MODE_OPENAI: 'mock' } });
    expect(answer.data.services.openai).toMatchObject({ use: 'mock', why: 'override' });
    expect(queries()).toEqual([]);
  });
});
