/** The OpenAI client: what it sends, what it makes of every answer, and what it never gives away. */
import { inspect } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { TvdbError } from '../../src/base/errors.ts';
import { sha256 } from '../../src/base/hash.ts';
import { embedNgrams } from '../../src/domain/ngram-embedding.ts';
import { loadTokenizer } from '../../src/domain/tokens.ts';
import { embedContract } from '../contract/embed.ts';
import {
  type Answering,
  ATTEMPT,
  answer,
  clientOver,
  embeddings,
  failed,
  jsonOf,
  KEYS,
  refused,
  type Setting,
  working,
} from './openai-like.ts';

const never = new AbortController().signal;
const TEXTS = ['one', 'two', 'three'];

embedContract('OpenAI, answered from memory, base64', () => clientOver(working).service);
embedContract(
  'OpenAI, answered from memory, numbers',
  () => clientOver(working, { options: { baseUrl: 'http://127.0.0.1:1/v1' } }).service,
);

async function errorOf(answering: Answering, setting: Setting = {}, texts: readonly string[] = TEXTS) {
  const client = clientOver(answering, setting);
  const error: unknown = await client.service.embed(texts, ATTEMPT, never).catch((thrown: unknown) => thrown);
  if (!(error instanceof TvdbError)) throw new Error('no TvdbError', { cause: error });
  return { ...client, error };
}

describe('a request for vectors', () => {
  it('is one POST with an explicit encoding, our id, our headers and nothing else', async () => {
    const { service, sent } = clientOver(working);
    const result = await service.embed(TEXTS, ATTEMPT, never);
    expect(sent).toEqual([
      {
        method: 'POST',
        url: 'https://api.openai.com/v1/embeddings',
        headers: {
          accept: 'application/json',
          'user-agent': 'tvdb',
          authorization: `Bearer ${KEYS[0]}`,
          'x-client-request-id': ATTEMPT.attemptId,
        },
        body: { json: { model: 'text-embedding-3-small', input: TEXTS, encoding_format: 'base64' } },
      },
    ]);
    expect(result).toMatchObject({
      tokensBilled: 4,
      model: 'text-embedding-3-small',
      httpStatus: 200,
      requestId: 'req_1',
    });
    expect(result.vectors).toEqual(TEXTS.map((text) => embedNgrams(text)));
  });

  it('asks for base64 at OpenAI alone, and for numbers of any server that only speaks its contract', async () => {
    const asked = async (baseUrl: string) => {
      const { service, sent } = clientOver(working, { options: { baseUrl } });
      await service.embed(TEXTS, ATTEMPT, never);
      return sent.map((request) => [request.url, jsonOf(request).encoding_format]);
    };
    expect(await asked('https://api.openai.com/v1')).toEqual([['https://api.openai.com/v1/embeddings', 'base64']]);
    expect(await asked('https://eu.api.openai.com/v1')).toEqual([
      ['https://eu.api.openai.com/v1/embeddings', 'base64'],
    ]);
    for (const base of [
      'http://127.0.0.1:9/v1',
      'https://api.openai.com.evil.example/v1',
      'https://notapi.openai.com/v1',
    ]) {
      expect(await asked(base)).toEqual([[`${base}/embeddings`, 'float']]);
    }
  });

  it('has the space of its model', async () => {
    expect(clientOver(working).service).toMatchObject({
      origin: 'real',
      space: {
        name: 'openai/text-embedding-3-small/1536',
        model: 'text-embedding-3-small',
        version: '1',
        dimensions: 1536,
      },
    });
    const large = clientOver(working, { options: { model: 'text-embedding-3-large' } });
    expect(large.service.space).toMatchObject({ name: 'openai/text-embedding-3-large/3072', dimensions: 3072 });
  });

  it('is not changed by the environment the SDK reads', async () => {
    const before = { ...process.env };
    onTestFinished(() => {
      process.env = before;
    });
    Object.assign(process.env, {
      OPENAI_API_KEY: 'sk-environment-0123456789',
      OPENAI_ADMIN_KEY: 'sk-admin-0123456789',
      OPENAI_BASE_URL: 'https://elsewhere.example/v1',
      OPENAI_ORG_ID: 'org-environment',
      OPENAI_PROJECT_ID: 'proj-environment',
      OPENAI_CUSTOM_HEADERS: 'Authorization: Bearer stolen\nX-Extra: 1\nUser-Agent: other\nX-Client-Request-Id: other',
      OPENAI_LOG: 'debug',
    });
    const { service, sent } = clientOver(working);
    await service.embed(TEXTS, ATTEMPT, never);
    process.env = before;
    const plain = clientOver(working);
    await plain.service.embed(TEXTS, ATTEMPT, never);
    expect(sent).toEqual(plain.sent);
  });

  it('names the one variable the SDK chokes on, and sends nothing', async () => {
    const before = { ...process.env };
    onTestFinished(() => {
      process.env = before;
    });
    process.env.OPENAI_CUSTOM_HEADERS = 'no header at all: secret-value\nbad name: x';
    const { error, sent } = await errorOf(working);
    expect([error.code, sent]).toEqual(['E103', []]);
    expect(inspect(error)).not.toContain('secret-value');
  });

  it('asks the governor first, with its tokens, and tells it what came of it', async () => {
    const { service, admitted, reported } = clientOver(working);
    await service.embed(TEXTS, { ...ATTEMPT, tokens: 123 }, never);
    const call = {
      operation: 'embeddings.create',
      billable: true,
      tokens: 123,
      fingerprint: sha256(KEYS[0]).slice(0, 8),
    };
    expect(admitted).toEqual([call]);
    expect(reported).toEqual([
      {
        ...call,
        latencyMs: 7,
        httpStatus: 200,
        headers: { 'content-type': 'application/json', 'x-request-id': 'req_1', 'x-ratelimit-remaining-tokens': '999' },
        error: null,
      },
    ]);
  });

  it('does not leave when the governor refuses it', async () => {
    const refusal = new TvdbError('E304', { message: 'paused', retry: { kind: 'after', ms: 5 } });
    const admit = () => {
      throw refusal;
    };
    const { error, sent, reported } = await errorOf(working, { admit });
    expect([error, sent, reported]).toEqual([refusal, [], []]);
  });

  it('weighs a batch by its tokens, a small one by its bytes', async () => {
    const { service, admitted } = clientOver(working);
    const long = Array.from({ length: 40 }, (_, at) => `Paragraph ${at}. ${'A sentence of some words. '.repeat(20)}`);
    await service.embed(['twelve bytes'], ATTEMPT, never);
    await service.embed(long, ATTEMPT, never);
    const tokenizer = await loadTokenizer();
    const counted = long.reduce((sum, text) => sum + tokenizer.count(text), 0);
    expect(admitted.map(({ tokens }) => tokens)).toEqual([12, counted]);
  });
});

describe('texts that no request may carry', () => {
  it('are refused before anything leaves, and never cut', async () => {
    const tooLong = 'word '.repeat(8200);
    for (const [texts, why] of [
      [['fine', ''], /^it is empty/],
      [['fine', tooLong], /^it has 820\d tokens/],
    ] as const) {
      const { error, sent, admitted } = await errorOf(working, {}, texts);
      expect([error.code, error.message, error.retry.kind, error.chargedNanoUsd, sent, admitted]).toEqual([
        'E416',
        'Text 2 of 2 cannot be embedded',
        'never',
        0,
        [],
        [],
      ]);
      expect(error.why).toMatch(why);
    }
  });

  it('may have far more than 8,191 bytes: tokens are what counts', async () => {
    const { service, sent } = clientOver(working);
    const text = 'word '.repeat(8000);
    await service.embed([text], ATTEMPT, never);
    expect(sent.map((request) => jsonOf(request).input)).toEqual([[text]]);
  });

  it('make a batch to be halved where they are too many or too much together', async () => {
    const many = await errorOf(working, {}, Array(2049).fill('a'));
    const much = await clientOver(working)
      .service.embed(TEXTS, { ...ATTEMPT, tokens: 300_001 }, never)
      .catch((thrown: unknown) => thrown);
    expect(many.sent).toEqual([]);
    for (const error of [many.error, much]) {
      expect(error).toMatchObject({ code: 'E309', facts: { too_large: true, sent: false }, chargedNanoUsd: 0 });
    }
  });
});

describe('what came back', () => {
  const rate =
    (headers: Record<string, string> = {}) =>
    () =>
      refused(429, { type: 'tokens', code: 'rate_limit_exceeded', message: 'Limit 1000000' }, headers);
  const UNKNOWN = ['E307', 'later', null] as const;
  const NO = (code: string) => [code, 'never', 0] as const;
  const money = [
    'insufficient_quota',
    'credit_balance_exhausted',
    'organization_spend_limit_exceeded',
    'project_spend_limit_exceeded',
    'organization_usage_limit_exceeded',
    'billing_not_active',
    'billing_hard_limit_reached',
  ];

  const table: [string, Answering, readonly [string, string, number | null], object?][] = [
    [
      'no connection',
      () => failed('unreachable', false, null, { code: 'ECONNREFUSED' }),
      ['E303', 'later', 0],
      { sent: false },
    ],
    ['no free connection in time', () => failed('request_timeout', false), ['E303', 'later', 0], { sent: false }],
    ['a cut', () => failed('cut', true), UNKNOWN, { sent: true }],
    ['a hang before the answer', () => failed('headers_timeout', true), UNKNOWN],
    ['a hang in the answer', () => failed('body_timeout', true, 200), UNKNOWN, { http_status: 200 }],
    ['a hang altogether', () => failed('request_timeout', true), UNKNOWN],
    ['an answer over the limit', () => failed('too_large', true, 200), UNKNOWN],
    ['a refusal that breaks off', () => failed('cut', true, 429), ['E301', 'later', 0], { http_status: 429 }],
    ['a server error that breaks off', () => failed('cut', true, 500), UNKNOWN],
    ...[500, 502, 503, 504, 529].map((status): (typeof table)[number] => [
      `${status}`,
      () => refused(status, { type: 'server_error' }),
      UNKNOWN,
      { http_status: status },
    ]),
    ['408', () => refused(408, {}), UNKNOWN],
    ['499 of a gateway', () => answer(499, ''), UNKNOWN],
    ['a redirect', () => answer(302, '', { location: 'https://elsewhere.example/' }), UNKNOWN, { http_status: 302 }],
    ['HTML with 200', () => answer(200, '<!doctype html><p>Sign in'), UNKNOWN],
    ['JSON that breaks off', () => answer(200, '{"object":"list","data":[{"ind'), UNKNOWN],
    ['204', () => answer(204, ''), UNKNOWN],
    ['an error with 200', () => refused(200, { message: 'no' }), UNKNOWN],
    ['another shape', () => answer(200, [1, 2]), UNKNOWN],
    ['null', () => answer(200, 'null'), UNKNOWN],
    ['a rate limit', rate(), ['E301', 'later', 0], { http_status: 429, sent: true }],
    ['a rate limit with a wait', rate({ 'retry-after': '20' }), ['E301', 'after', 0]],
    ['slow_down', () => refused(429, { code: 'slow_down' }), ['E301', 'later', 0]],
    ['429 without a body', () => answer(429, ''), ['E301', 'later', 0]],
    ['429 with HTML', () => answer(429, '<html>'), ['E301', 'later', 0]],
    ...money.map((code): (typeof table)[number] => [
      `429 ${code}`,
      () => refused(429, { type: 'x', code }),
      NO('E302'),
    ]),
    [
      '429 of an unknown code and the type of money',
      () => refused(429, { type: 'insufficient_quota', code: 'new' }),
      NO('E302'),
    ],
    ['402', () => answer(402, ''), NO('E302')],
    ['401', () => refused(401, { code: 'invalid_api_key' }), NO('E112')],
    ['403', () => refused(403, { code: 'unsupported_country_region_territory' }), NO('E112')],
    ['404', () => refused(404, { code: 'model_not_found', message: 'The model does not exist' }), NO('E309')],
    ['400', () => refused(400, { type: 'invalid_request_error' }), NO('E309')],
    ['409', () => answer(409, ''), NO('E309')],
    ['422', () => answer(422, '{"detail":[]}'), NO('E309')],
    [
      '400 for the tokens of all texts',
      () =>
        refused(400, {
          type: 'max_tokens_per_request',
          code: 'max_tokens_per_request',
          message: 'Requested 306153 tokens',
        }),
      NO('E309'),
      { too_large: true },
    ],
    [
      '400 for the tokens of one text',
      () =>
        refused(400, {
          type: 'invalid_request_error',
          message: "Invalid 'input[0]': maximum input length is 8192 tokens.",
        }),
      NO('E309'),
      { too_large: true },
    ],
    ['413', () => answer(413, ''), NO('E309'), { too_large: true }],
  ];

  it.each(table)(
    'T03 T74 %s: one POST, one report, and the error of the table',
    async (_name, answering, expected, facts = {}) => {
      const { error, sent, reported, admitted } = await errorOf(answering);
      expect([error.code, error.retry.kind, error.chargedNanoUsd]).toEqual(expected);
      expect(error.facts).toMatchObject({
        service: 'openai',
        operation: 'embeddings.create',
        client_request_id: ATTEMPT.attemptId,
        ...facts,
      });
      expect('too_large' in error.facts).toBe('too_large' in facts);
      expect([sent.length, admitted.length]).toEqual([1, 1]);
      expect(reported.map((one) => one.error)).toEqual([error]);
      expect(reported[0]?.httpStatus ?? null).toBe(error.facts.http_status);
    },
  );

  it('T71 is waited for as long as it asks, between 0 and 300 seconds', async () => {
    const waits: [Record<string, string>, number | null][] = [
      [{ 'retry-after': '0' }, 0],
      [{ 'retry-after': '1' }, 1000],
      [{ 'retry-after': '1.5' }, 1500],
      [{ 'retry-after': '-1' }, null],
      [{ 'retry-after': 'soon' }, null],
      [{ 'retry-after': '1e9' }, null],
      [{ 'retry-after': '9000000000' }, 300_000],
      [{ 'retry-after': 'Mon, 23 Nov 2026 12:00:30 GMT' }, 30_000],
      [{ 'retry-after': 'Mon, 23 Nov 2026 11:59:30 GMT' }, 0],
      [{ 'retry-after': '2, 10' }, 10_000],
      [{ 'retry-after-ms': '250', 'retry-after': '9' }, 250],
      [{}, null],
    ];
    for (const [headers, ms] of waits) {
      const { error } = await errorOf(rate(headers));
      expect([headers, error.retry]).toEqual([headers, ms === null ? { kind: 'later' } : { kind: 'after', ms }]);
    }
  });

  it('is billed and unusable: the tokens are told, nothing is stored, another model is not tried again', async () => {
    const spoilt: Answering = (request) => {
      const body = embeddings(jsonOf(request));
      return answer(200, { ...body, data: body.data.slice(1) }, { 'x-request-id': 'req_9' });
    };
    const { error, reported } = await errorOf(spoilt);
    expect([error.code, error.retry.kind, error.chargedNanoUsd]).toEqual(['E308', 'later', null]);
    expect(error.facts).toMatchObject({ tokens_billed: 4, request_id: 'req_9', http_status: 200 });
    expect(error.why).toBe('status 200: it has 2 vectors for 3 texts');
    expect(reported.map((one) => one.error)).toEqual([error]);
    const other: Answering = (request) =>
      answer(200, { ...embeddings(jsonOf(request)), model: 'text-embedding-ada-002' });
    expect((await errorOf(other)).error).toMatchObject({
      code: 'E308',
      retry: { kind: 'never' },
      facts: { tokens_billed: 4 },
    });
  });

  it('is taken whatever its content type is, when every check passes', async () => {
    const odd: Answering = (request) => answer(200, embeddings(jsonOf(request)), { 'content-type': 'text/html' });
    expect((await clientOver(odd).service.embed(TEXTS, ATTEMPT, never)).vectors).toHaveLength(3);
  });
});

describe('a caller who gives up', () => {
  const reason = new Error('stopped by the user');
  const abortedWhen = async (left: boolean) => {
    const controller = new AbortController();
    const client = clientOver((_request, signal) => {
      controller.abort(reason);
      return failed('aborted', left, null, signal.reason);
    });
    const error: unknown = await client.service
      .embed(TEXTS, ATTEMPT, controller.signal)
      .catch((thrown: unknown) => thrown);
    return { ...client, error };
  };

  it('gets the reason back while nothing has left', async () => {
    const { error, reported } = await abortedWhen(false);
    expect(error).toBe(reason);
    expect(reported.map((one) => one.error?.code)).toEqual(['E012']);
  });

  it('T12 learns that a request may be billed that had left', async () => {
    const { error, reported } = await abortedWhen(true);
    expect(error).toMatchObject({ code: 'E307', cause: reason, chargedNanoUsd: null });
    // Nothing of which speaks against the service: five of these must not open the breaker.
    expect(reported.map((one) => one.error?.code)).toEqual(['E012']);
  });

  it('stops what waits for the governor', async () => {
    const controller = new AbortController();
    const { service, sent, reported } = clientOver(working, { admit: () => controller.abort(reason) });
    await expect(service.embed(TEXTS, ATTEMPT, controller.signal)).rejects.toBe(reason);
    expect([sent, reported.map((one) => one.error?.code)]).toEqual([[], ['E012']]);
  });
});

describe('keys', () => {
  const onlySecond: Answering = (request, signal) =>
    request.headers.authorization === `Bearer ${KEYS[1]}`
      ? working(request, signal)
      : refused(401, { code: 'invalid_api_key', message: `Incorrect API key provided: ${KEYS[0]}` });

  it('change once when the first is refused: same attempt, same admission, one report of what counts', async () => {
    const { service, sent, admitted, reported, audited } = clientOver(onlySecond, { keys: KEYS });
    expect((await service.embed(TEXTS, ATTEMPT, never)).vectors).toHaveLength(3);
    expect(sent.map(({ headers }) => headers.authorization)).toEqual(KEYS.map((key) => `Bearer ${key}`));
    expect(sent.map(({ headers }) => headers['x-client-request-id'])).toEqual(Array(2).fill(ATTEMPT.attemptId));
    expect(admitted).toHaveLength(1);
    const [, second] = KEYS.map((key) => sha256(key).slice(0, 8));
    expect(reported).toMatchObject([{ error: null, httpStatus: 200, fingerprint: second }]);
    expect(audited.map(([event]) => event)).toEqual(['first_use', 'refused', 'switched', 'first_use']);
    await service.embed(TEXTS, ATTEMPT, never);
    expect(sent).toHaveLength(3);
  });

  it('are both refused: two requests, one E112', async () => {
    const answering = () => refused(401, { code: 'invalid_api_key' });
    const { error, sent, reported, audited } = await errorOf(answering, { keys: KEYS });
    expect([error.code, sent.length, reported.length]).toEqual(['E112', 2, 1]);
    expect(audited.filter(([event]) => event === 'refused')).toHaveLength(2);
  });

  it('do not change for anything but a 401', async () => {
    for (const status of [400, 402, 403, 404, 429, 500]) {
      expect((await errorOf(() => answer(status, ''), { keys: KEYS })).sent).toHaveLength(1);
    }
  });

  it('with characters that no header takes are refused unsent and unquoted', async () => {
    for (const key of ['sk-line\nbreak-0123456789', 'sk-with space-0123456789', 'sk-ümlaut-0123456789']) {
      const { error, sent, reported } = await errorOf(working, { keys: [key] });
      expect([error.code, sent, reported.map((one) => one.httpStatus)]).toEqual(['E112', [], [null]]);
      expect(inspect(error, { depth: 9 })).not.toContain(key.slice(3, 9));
    }
  });

  it.each([KEYS[0], 'gateway FIRST0123 of another make'.replaceAll(' ', '-')])(
    'S1 are in no error, report or health line, however the service echoes them: %#',
    async (key) => {
      const base64 = Buffer.from(key).toString('base64');
      const hidden = key.replace('0', '\u200b0');
      const statuses = [200, 302, 400, 401, 402, 403, 404, 413, 429, 500];
      for (const status of statuses) {
        for (const echo of [key, encodeURIComponent(key), base64, hidden, `${'x'.repeat(270)}${key}`]) {
          const echoing = () => refused(status, { message: echo, type: echo, code: echo }, { 'x-request-id': key });
          const { error } = await errorOf(echoing, { keys: [key] });
          const health = await clientOver(echoing, { keys: [key] }).service.health(never);
          for (const text of [inspect(error, { depth: 9 }), health.detail, error.why ?? '']) {
            expect(text).not.toMatch(/FIRST|sk-proj|gateway/);
            expect(text).not.toContain(base64.slice(4, 20));
          }
          expect((error.why ?? '').length).toBeLessThanOrEqual(300);
        }
      }
    },
  );

  it('S2 and control characters stay out of what the service is quoted with', async () => {
    const { error } = await errorOf(() =>
      refused(400, { message: `\x1b[2J\x9b31m\u202eevil\r\nline${'x'.repeat(5000)}` }),
    );
    expect(error.why).toMatch(/^status 400: \[2J31mevil linex+$/);
    expect((error.why ?? '').length).toBe(300);
  });
});

describe('health', () => {
  it('asks for the model, which is free, and says how it is', async () => {
    const { service, sent, admitted } = clientOver(working);
    expect(await service.health(never)).toMatchObject({
      ok: true,
      detail: expect.stringContaining('text-embedding-3-small'),
    });
    expect(sent.map(({ method, url }) => [method, url])).toEqual([
      ['GET', 'https://api.openai.com/v1/models/text-embedding-3-small'],
    ]);
    expect(admitted).toMatchObject([{ operation: 'models.get', billable: false, tokens: 0 }]);
  });

  it.each([
    ['no connection', () => failed('unreachable', false, null, { code: 'ENOTFOUND' }), 'E303', /ENOTFOUND/],
    ['a cut', () => failed('cut', true), 'E303', /connection broke/],
    ['a server error', () => answer(503, ''), 'E303', /503/],
    ['an answer over the limit', () => failed('too_large', true, 200), 'E308', /RESPONSE_LIMIT_MB/],
    ['a page to sign in', () => answer(200, '<html>'), 'E308', /no model/],
    ['a redirect', () => answer(301, ''), 'E308', /never followed/],
    ['an unknown model', () => refused(404, { code: 'model_not_found' }), 'E309', /model_not_found/],
    ['a refused key', () => refused(401, {}), 'E112', /key is not accepted/],
    ['no credit', () => refused(429, { type: 'insufficient_quota' }), 'E302', /credit or quota/],
  ] satisfies [string, Answering, string, RegExp][])(
    'is bad with %s, says why, and throws nothing',
    async (_name, answering, code, words) => {
      const { service, reported } = clientOver(answering);
      expect(await service.health(never)).toEqual({ ok: false, latencyMs: 0, detail: expect.stringMatching(words) });
      expect(reported.map(({ error }) => [error?.code, error?.chargedNanoUsd])).toEqual([[code, undefined]]);
    },
  );

  it('stops with the reason of the caller', async () => {
    const reason = new Error('stopped by the user');
    await expect(clientOver(working).service.health(AbortSignal.abort(reason))).rejects.toBe(reason);
  });
});
