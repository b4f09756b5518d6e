/** Uploads through the API that may not be paid are refused with 429 and the facts, and make no job. */
import { describe, expect, it } from 'vitest';
import { capRun, setBudget } from '../../src/ledger/budget-settings.ts';
import { paidEmbedder, paidParser } from '../pipeline/paid-services.ts';
import { virtualClock } from '../setup/virtual-clock.ts';
import { pdf, serving } from './api-place.ts';

const real = () => ({ parser: paidParser(virtualClock()), embedder: paidEmbedder() });
const settings = { OPENAI_EMBED_MODEL: 'text-embedding-3-small' } as const;

/** What the user allows for a day. */
function limitTo({ store, clock }: Awaited<ReturnType<typeof serving>>, limit: number) {
  const day = { scope: 'all', scope_value: '', span: 'day', measure: 'cost' } as const;
  return store.write((trx) => setBudget(trx, { ...day, limit, hard: true }, [], clock.now()));
}

describe('POST /upload and PUT', () => {
  it('a document that does not fit is 429 with what is left and when it starts anew; there is no job', async () => {
    const place = await serving({ real: real(), settings }, { mode: 'real' });
    await limitTo(place, 12_000_000);
    // One page fits, the three of the document do not.
    const { answer } = await place.upload(pdf('one'));
    expect([answer.status, answer.json.error.code]).toEqual([429, 'TVDB-E201']);
    expect(answer.json.error.facts).toMatchObject({
      error: 'CostLimitExceeded',
      scope: 'all',
      window: 'day',
      cap_nano_usd: 12_000_000,
      left_nano_usd: 12_000_000,
      resets_at: '2026-11-24T00:00:00.000Z',
    });
    expect(await place.jobs()).toEqual([]);
    expect(await place.store.db.selectFrom('documents').selectAll().execute()).toEqual([]);
  });

  it('is refused at its announcement when not even a page fits', async () => {
    const place = await serving({ real: real(), settings }, { mode: 'real' });
    await limitTo(place, 1_000_000);
    const answer = await place.announce();
    expect([answer.status, answer.json.error.facts.left_nano_usd]).toEqual([429, 1_000_000]);
  });

  it('without consent to its sum is 429 too; --yes and --max-cost of the server are that consent', async () => {
    const low = { ...settings, COST_AUTO_APPROVE_USD: 1_000_000 };
    const consent = { maxCost: undefined, yes: false, ci: false };
    const without = await serving({ real: real(), settings: low }, { mode: 'real', consent });
    const refused = (await without.upload(pdf('two'))).answer;
    expect([refused.status, refused.json.error.code]).toEqual([429, 'TVDB-E202']);
    expect(await without.jobs()).toEqual([]);
    for (const given of [
      { ...consent, yes: true },
      { ...consent, maxCost: 100_000_000, ci: true },
    ]) {
      const place = await serving({ real: real(), settings: low }, { mode: 'real', consent: given });
      expect((await place.upload(pdf('three'))).answer.status).toBe(201);
      const [job] = await place.jobs();
      expect(job?.consent_nano_usd).toBeGreaterThan(3 * 3_750_000);
    }
  });

  it('what is left of the cap of the server counts', async () => {
    const consent = { maxCost: 12_000_000, yes: false, ci: false };
    const place = await serving({ real: real(), settings }, { mode: 'real', consent });
    const { runId, clock } = place;
    await place.store.write((trx) => capRun(trx, { runId, capNanoUsd: 12_000_000, now: clock.now() }));
    const { answer } = await place.upload(pdf('four'));
    expect([answer.status, answer.json.error.facts.scope]).toEqual([429, 'run']);
  });

  it('a mock is never refused', async () => {
    const place = await serving({ real: real(), settings }, { mode: 'mock' });
    await limitTo(place, 0);
    expect((await place.upload(pdf('five'))).answer.status).toBe(201);
    expect((await place.jobs())[0]?.consent_nano_usd).toBe(0);
  });
});
