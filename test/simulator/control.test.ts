/** Faults in their order, at their rate, by text; the log on disk; the control endpoints. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256 } from '../../src/base/hash.ts';
import { simulateCommand } from '../../src/cli/commands/simulate.ts';
import { FAULT_ACTIONS } from '../../src/simulator/fault-actions.ts';
import { FaultSyntaxError, parseFaults } from '../../src/simulator/fault-syntax.ts';
import { tempDirectory } from '../setup/temp.ts';
import { bodyOf, LLAMA_KEY, OPENAI_KEY, started, uploaded } from './start.ts';

const model = 'text-embedding-3-small';

describe('the text of faults', () => {
  it('says what, how often, and how likely', () => {
    expect(parseFaults('parse.create=500x2, embeddings=429:retry-after=2x3,webhook=missing*,files=cut~0.05')).toEqual([
      { target: 'parse.create', action: '500', params: {}, times: 2, rate: null },
      { target: 'embeddings', action: '429', params: { 'retry-after': '2' }, times: 3, rate: null },
      { target: 'webhook', action: 'missing', params: {}, times: null, rate: null },
      { target: 'files', action: 'cut', params: {}, times: null, rate: 0.05 },
    ]);
    expect(parseFaults('job=failed:TIMEOUT:billed')[0]?.params).toEqual({ value: 'TIMEOUT', billed: 'yes' });
    expect(parseFaults('any=429:retry-after="Wed, 21 Oct 2026 07:28:00 GMT"x2')[0]).toMatchObject({
      params: { 'retry-after': 'Wed, 21 Oct 2026 07:28:00 GMT' },
      times: 2,
    });
  });

  it.each([
    'parse.create',
    'parse=',
    'nobody=500',
    'parse.creat=500',
    'embeddings.create=500',
    'job=500',
    'webhook=cut',
    'parse.create=nan',
    'embeddings=duplicate',
    'any=600',
  ])('is refused when it is %s', (text) => {
    expect(() => parseFaults(text)).toThrow(FaultSyntaxError);
  });

  it('never throws anything else', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          parseFaults(text);
        } catch (error) {
          expect(error).toBeInstanceOf(FaultSyntaxError);
        }
      }),
      { numRuns: 500, seed: 20261123 },
    );
  });

  it('is in the help of the command, every word of it', () => {
    const words = Object.values(FAULT_ACTIONS).flatMap((actions) => Object.keys(actions));
    expect(words.filter((word) => !simulateCommand.description?.includes(word))).toEqual([]);
  });
});

describe('faults', () => {
  const statuses = async (faults: string, requests: number, seed = 1) => {
    const { llama } = await started({ faults, seed });
    const seen: number[] = [];
    for (let at = 0; at < requests; at++) {
      seen.push(
        await llama.parsing.listVersions().then(
          () => 200,
          (error) => error.status,
        ),
      );
    }
    return seen;
  };

  it('of one target happen in their order, and then no more', async () => {
    expect(await statuses('parse.versions=500x2,embeddings=400,parse=503,llama=429,any=404', 6)).toEqual([
      500, 500, 503, 429, 404, 200,
    ]);
  });

  it('at a rate are the same for the same seed', async () => {
    const [one, same, other] = [
      await statuses('any=500~0.5', 20),
      await statuses('any=500~0.5', 20),
      await statuses('any=500~0.5', 20, 2),
    ];
    expect(one).toEqual(same);
    expect(one).not.toEqual(other);
    expect(new Set(one)).toEqual(new Set([200, 500]));
  });

  it('with a star never end', async () => {
    expect(await statuses('any=500*', 5)).toEqual([500, 500, 500, 500, 500]);
  });
});

describe('the log', () => {
  it('has every request with what became of it, keys and secrets as fingerprints, files without their bytes', async () => {
    const logFile = join(tempDirectory(), 'log.jsonl');
    const { llama, openai, log } = await started({ logFile });
    const file_id = await uploaded(llama, 1);
    const webhook_configurations = [
      { webhook_url: 'http://127.0.0.1:1/', webhook_signing_secret: 'a secret', webhook_events: [] },
    ];
    const user_metadata = { tvdb_attempt: 'attempt-1' };
    const job = await llama.parsing.create({
      file_id,
      tier: 'fast',
      version: 'latest',
      webhook_configurations,
      user_metadata,
    });
    await openai.embeddings.create({ model, input: 'x' }, { headers: { 'X-Client-Request-Id': 'attempt-2' } });
    await expect(llama.get('/api/v9/nothing')).rejects.toMatchObject({ status: 404 });
    const text = readFileSync(logFile, 'utf8');
    expect(
      text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual(log());
    expect(log()).toMatchObject([
      {
        operation: 'files.create',
        headers: { authorization: sha256(LLAMA_KEY).slice(0, 8) },
        body: { file: { name: 'letter.pdf', bytes: expect.any(Number), sha256: expect.any(String) }, purpose: 'parse' },
      },
      { operation: 'parse.create', attemptId: 'attempt-1', accepted: true, made: [job.id], status: 200 },
      { operation: 'embeddings', attemptId: 'attempt-2', accepted: true, service: 'openai' },
      { operation: null, accepted: false, status: 404 },
    ]);
    for (const hidden of [LLAMA_KEY, OPENAI_KEY, 'a secret', '/Type /Page']) expect(text).not.toContain(hidden);
  });
});

describe('the control endpoints', () => {
  it('add, list and forget faults', async () => {
    const { url, llama } = await started();
    const faults = `${url}/_control/faults`;
    expect((await fetch(faults, { method: 'POST', body: 'parse.list=500' })).status).toBe(200);
    expect((await fetch(faults, { method: 'POST', body: JSON.stringify({ faults: 'parse.list=503*' }) })).status).toBe(
      200,
    );
    const refused = await fetch(faults, { method: 'POST', body: 'parse.list=oops' });
    expect([refused.status, (await bodyOf(refused)).error]).toEqual([400, expect.stringContaining('no fault oops')]);
    await expect(llama.parsing.list()).rejects.toMatchObject({ status: 500 });
    expect((await bodyOf(await fetch(faults))).waiting).toMatchObject([{ action: '503', times: null }]);
    await fetch(faults, { method: 'DELETE' });
    expect((await llama.parsing.list()).items).toEqual([]);
  });

  it('give log and bill, change keys, and forget everything', async () => {
    const { url, llama, openai } = await started();
    const file_id = await uploaded(llama, 2);
    await llama.parsing.create({ file_id, tier: 'agentic_plus', version: 'latest' });
    await openai.embeddings.create({ model: 'text-embedding-3-large', input: 'one two three' });
    const get = async (name: string) => bodyOf(await fetch(`${url}/_control/${name}`));
    expect((await get('log')).requests.map(({ operation }: { operation: string }) => operation)).toEqual([
      'files.create',
      'parse.create',
      'embeddings',
    ]);
    expect(await get('bill')).toMatchObject({ credits: 90, tokens: 3, nanoUsd: 90 * 1_250_000 + 3 * 130 });
    const post = (name: string, body?: object) =>
      fetch(`${url}/_control/${name}`, { method: 'POST', ...(body !== undefined && { body: JSON.stringify(body) }) });
    expect((await post('keys', { refused: 'all' })).status).toBe(400);
    await post('keys', { refused: [LLAMA_KEY] });
    await expect(llama.parsing.list()).rejects.toMatchObject({ status: 401 });
    await post('keys', { refused: [] });
    await post('reset');
    expect(await get('bill')).toEqual({ credits: 0, tokens: 0, nanoUsd: 0, jobs: [], requests: [] });
    expect([(await llama.parsing.list()).items, (await llama.files.list()).items]).toEqual([[], []]);
    expect((await post('nothing')).status).toBe(404);
  });
});
