import { appendFileSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { chunkId, parseId, uuidV5 } from '../../src/base/derived-ids.ts';
import { ERROR_CODES } from '../../src/base/error-codes.ts';
import { asTvdbError, storedError, TvdbError } from '../../src/base/errors.ts';
import { canonicalJson } from '../../src/base/hash.ts';
import { createLog } from '../../src/base/log.ts';
import { createScrubber } from '../../src/base/scrub.ts';
import { backoffMs, nextLookMs } from '../../src/domain/backoff.ts';
import { tempDirectory } from '../setup/temp.ts';
import { virtualClock } from '../setup/virtual-clock.ts';

describe('uuidV5', () => {
  it('is a version 5 UUID, the same for the same name and another for any other', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (a, b) => {
        expect(uuidV5(a)).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
        expect(uuidV5(a) === uuidV5(b)).toBe(a === b);
      }),
    );
  });

  it('stays what it was: stored ids depend on it', () => {
    const parse = parseId('11111111-1111-4111-8111-111111111111', 'Mock-LiteParse', '2.14@1');
    expect(parse).toBe(parseId('11111111-1111-4111-8111-111111111111', 'mock-liteparse', '2.14@1'));
    expect([parse, chunkId(parse, 'markdown-simple', '1', 0)]).toMatchInlineSnapshot(`
      [
        "68417f06-27f0-51cf-bcbf-1fc9fc067a2f",
        "f238b4bf-2695-56e7-afca-1c98d1b4456b",
      ]
    `);
  });
});

describe('canonicalJson', () => {
  it('does not depend on the order of keys, at any depth', () => {
    const shuffled = (value: unknown): unknown =>
      value !== null && typeof value === 'object' && !Array.isArray(value)
        ? Object.fromEntries(
            Object.entries(value)
              .reverse()
              .map(([key, inner]) => [key, shuffled(inner)]),
          )
        : value;
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
        expect(canonicalJson(shuffled(value))).toBe(canonicalJson(value));
      }),
    );
    expect(canonicalJson({ b: [2, { d: 1, c: 2 }], a: 1 })).toBe('{"a":1,"b":[2,{"c":2,"d":1}]}');
  });
});

describe('errors', () => {
  it('take category, exit code and general fix from the table of codes', () => {
    const error = new TvdbError('E404', { message: 'locked.pdf is encrypted' });
    expect([error.label, error.category, error.exit, error.fix]).toEqual([
      'TVDB-E404',
      'data',
      1,
      ERROR_CODES.E404.fix,
    ]);
    expect(storedError(error)).toMatchObject({ code: 'TVDB-E404', retryable: false, why: null });
  });

  it('turn anything unforeseen into E900 and keep its cause', () => {
    const cause = new TypeError('x is undefined');
    expect(asTvdbError(cause)).toMatchObject({ code: 'E900', cause });
    expect(asTvdbError('text').code).toBe('E900');
  });

  it('have codes in the range of their category', () => {
    for (const [code, row] of Object.entries(ERROR_CODES)) {
      expect(code).toMatch(/^E\d{3}$/);
      expect(row.title).not.toMatch(/\.$/);
      expect(row.fix).toMatch(/[.)]$|\.pdf$/);
    }
  });
});

describe('the scrubber', () => {
  const secret = 'llx-CANARY/+key=äöü-0123456789'.replace(/[^\x21-\x7e]/g, '');
  const scrub = createScrubber([secret]);

  it('T90 removes a secret in every encoding it may meet', () => {
    const bytes = Buffer.from(secret);
    const shapes = [
      secret,
      secret.toUpperCase(),
      encodeURIComponent(secret),
      JSON.stringify({ secret }),
      bytes.toString('hex'),
      bytes.toString('base64'),
      Buffer.from(`x${secret}`).toString('base64'),
      Buffer.from(`xy${secret}z`).toString('base64'),
      bytes.toString('base64url'),
      `https://example.com/?key=${encodeURIComponent(secret)}`,
    ];
    for (const shape of shapes) {
      const clean = scrub(`before ${shape} after`);
      expect(clean).toContain('[secret]');
      expect(clean).not.toContain('CANARY');
    }
  });

  it('T90 removes a secret that was broken into lines, and nothing around it', () => {
    const at = (...cuts: number[]) =>
      [0, ...cuts]
        .map((start, index) => secret.slice(start, cuts[index] ?? secret.length))
        .join('\x1b[39m\n       \x1b[36m');
    expect(scrub(`why  the key\n     ${at(5, 20)} is\n     wrong`)).toBe('why  the key\n     [secret] is\n     wrong');
    expect(scrub(`${at(1)}\n${secret}\n\n${at(25)}.`)).toBe('[secret]\n[secret]\n\n[secret].');
    expect(scrub('one\n  two\n')).toBe('one\n  two\n');
  });

  it('T90 removes what is left of a secret that was cut, in every encoding, and its lines', () => {
    const key = `sk-proj-${'Zanzibar/9+'.repeat(6)}`;
    const clean = createScrubber([key, 'llx-Kilimanjaro-0123456789']);
    const bytes = Buffer.from(key);
    for (const [what, text, least] of [
      ['plain', key, 12],
      ['URL', encodeURIComponent(key), 14],
      ['hex', bytes.toString('hex'), 24],
      ['base64', bytes.toString('base64'), 16],
      ['base64url', bytes.toString('base64url'), 16],
      ['base64, shifted', Buffer.from(`x${key}`).toString('base64').slice(2), 16],
    ] as const) {
      for (let length = least; length <= text.length; length += 1)
        // The last character of base64 also has bits of what follows.
        expect([what, length, clean(`at ${text.slice(0, length)}, cut`).replace(/\](\w=*)?, cut$/, '], cut')]).toEqual([
          what,
          length,
          'at [secret], cut',
        ]);
    }
    expect(clean('llx-Kili… llx-Kilo llx-Kil')).toBe('[secret]… llx-Kilo llx-Kil');
    expect(clean('llx-Kiliman\n  jaro-012345\nrest')).toBe('[secret]\nrest');
    expect(clean('keys begin with sk-proj- or llx-')).toBe('keys begin with sk-proj- or llx-');
  });

  it('leaves words alone that begin like a short secret', () => {
    expect(createScrubber(['documents-2026'])('documents, documents-2026')).toBe('documents, [secret]');
  });

  it('leaves everything else alone, and does nothing without secrets', () => {
    expect(scrub('an ordinary line')).toBe('an ordinary line');
    expect(createScrubber([])('llx')).toBe('llx');
    expect(createScrubber(['short'])('a short word')).toBe('a short word');
  });
});

describe('the log', () => {
  it('writes one scrubbed JSON line an entry, from its level on, and never throws', () => {
    const directory = tempDirectory();
    const log = createLog({
      target: { directory: join(directory, 'logs') },
      level: 'info',
      clock: virtualClock(),
      scrub: createScrubber(['top-secret-value']),
    });
    log('debug', 'left out');
    log('info', 'EVENT', { correlation_id: 'c', text: 'has top-secret-value in it\n' });
    const [file] = readdirSync(join(directory, 'logs'));
    expect(file).toBe('tvdb-2026-11-23.jsonl');
    const lines = readFileSync(join(directory, 'logs', file ?? ''), 'utf8')
      .trimEnd()
      .split('\n');
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? '')).toEqual({
      at: '2026-11-23T12:00:00.000Z',
      level: 'info',
      event: 'EVENT',
      correlation_id: 'c',
      text: 'has [secret] in it\n',
    });
    appendFileSync(join(directory, 'file'), '');
    createLog({
      target: { directory: join(directory, 'file') },
      level: 'info',
      clock: virtualClock(),
      scrub: (text) => text,
    })('info', 'lost');
  });
});

describe('backoff', () => {
  it('stays within the growing bound and the cap, whatever the randomness gives', () => {
    fc.assert(
      fc.property(fc.nat(100), fc.double({ min: 0, max: 0.999999, noNaN: true }), (tries, share) => {
        const wait = backoffMs(tries, { base: 1000, cap: 60_000 }, () => share);
        expect(wait).toBeGreaterThanOrEqual(0);
        expect(wait).toBeLessThanOrEqual(Math.min(60_000, 1000 * 2 ** Math.min(tries, 30)));
      }),
    );
    expect(backoffMs(0, { base: 1000, cap: 60_000 }, () => 0.5)).toBe(500);
    expect(backoffMs(3, { base: 1000, cap: 60_000 }, () => 0.5)).toBe(4000);
    expect(backoffMs(30, { base: 1000, cap: 60_000 }, () => 0.5)).toBe(30_000);
  });
});

describe('the wait before the next look', () => {
  const looks = { first: 2_000, cap: 30_000, parallel: 5, requestsPerMinute: 20 };

  it('grows with the age where requests are scarce, and is no longer than necessary where they are not', () => {
    const ages = [0, 4_000, 10_000, 40_000, 600_000];
    expect(ages.map((age) => nextLookMs(age, looks))).toEqual([2_000, 2_000, 5_000, 20_000, 30_000]);
    const many = { ...looks, parallel: 20, requestsPerMinute: 600 };
    expect(ages.map((age) => nextLookMs(age, many))).toEqual([2_000, 2_000, 4_000, 4_000, 4_000]);
  });

  it('never takes more than half of the requests, once every wait is that long', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1000 }), fc.integer({ min: 1, max: 100_000 }), (parallel, perMinute) => {
        const wait = nextLookMs(1e12, { first: 1, cap: 1e12, parallel, requestsPerMinute: perMinute });
        expect((parallel * 60_000) / wait).toBeLessThanOrEqual(perMinute / 2 + 1e-6);
      }),
    );
  });
});

const HOUR = 3_600_000;

describe('the system clock', () => {
  it('sleeps until its signal aborts', async () => {
    const stop = new AbortController();
    const sleeping = systemClock.sleep(HOUR, stop.signal);
    stop.abort(new Error('stop'));
    await expect(sleeping).rejects.toThrow('stop');
    await expect(systemClock.sleep(HOUR, stop.signal)).rejects.toThrow('stop');
  });
});
