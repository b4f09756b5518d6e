/** What the simulator turns down, and in whose words. */
import { describe, expect, it } from 'vitest';
import { bodyOf, LLAMA_KEY, OPENAI_KEY, pdf, started, uploaded } from './start.ts';

const json = (key: string | null, body: unknown): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json', ...(key !== null && { authorization: `Bearer ${key}` }) },
  body: JSON.stringify(body),
});

describe('the parse create call', () => {
  const base = { tier: 'agentic', version: 'latest' };
  const source = { ...base, source_url: 'https://example.com/letter.pdf' };
  it.each<[string, object, (string | number)[], string]>([
    ['an unknown key', { ...source, do_not_cache: true }, ['body', 'do_not_cache'], 'extra_forbidden'],
    [
      'an unknown key of page_ranges',
      { ...source, page_ranges: { pages: 1 } },
      ['body', 'page_ranges', 'pages'],
      'extra_forbidden',
    ],
    ['SDK-only upload_file', { ...base, upload_file: 'x' }, ['body', 'upload_file'], 'extra_forbidden'],
    ['no tier', { version: 'latest', source_url: 'https://x/a.pdf' }, ['body', 'tier'], 'missing'],
    ['an unknown tier', { ...source, tier: 'premium' }, ['body', 'tier'], 'literal_error'],
    [
      'a version of another tier',
      { ...source, tier: 'fast', version: '2026-09-07' },
      ['body', 'version'],
      'value_error',
    ],
    ['no source', base, ['body'], 'value_error'],
    ['two sources', { ...source, file_id: 'dfl-1' }, ['body'], 'value_error'],
    [
      'a source that is no URL',
      { ...base, source_url: 'file:///etc/passwd' },
      ['body', 'source_url'],
      'string_pattern_mismatch',
    ],
    [
      'a page twice',
      { ...source, page_ranges: { target_pages: '1-3,2' } },
      ['body', 'page_ranges', 'target_pages'],
      'value_error',
    ],
    [
      'page 0',
      { ...source, page_ranges: { target_pages: '0' } },
      ['body', 'page_ranges', 'target_pages'],
      'value_error',
    ],
    [
      'no pages',
      { ...source, page_ranges: { max_pages: 0 } },
      ['body', 'page_ranges', 'max_pages'],
      'greater_than_equal',
    ],
    ['metadata that is no text', { ...source, user_metadata: { n: 1 } }, ['body', 'user_metadata'], 'dict_type'],
    [
      'an unknown webhook key',
      { ...source, webhook_configurations: [{ webhook_url: 'https://x', secret: 's' }] },
      ['body', 'webhook_configurations', 0, 'secret'],
      'extra_forbidden',
    ],
    [
      'an unknown webhook event',
      { ...source, webhook_configurations: [{ webhook_url: 'https://x', webhook_events: ['parse.done'] }] },
      ['body', 'webhook_configurations', 0, 'webhook_events'],
      'literal_error',
    ],
  ])('refuses %s with 422 and makes nothing', async (_what, body, loc, type) => {
    const { url, log, bill } = await started();
    const answer = await fetch(`${url}/api/v2/parse`, json(LLAMA_KEY, body));
    expect(answer.status).toBe(422);
    expect((await bodyOf(answer)).detail).toMatchObject([{ loc, type, msg: expect.any(String) }]);
    expect([log()[0]?.accepted, bill().jobs]).toEqual([false, []]);
  });

  it('takes everything the real client sends', async () => {
    const { llama } = await started();
    const job = await llama.parsing.create({
      file_id: await uploaded(llama),
      tier: 'agentic',
      version: '2026-09-07',
      client_name: 'tvdb',
      disable_cache: true,
      page_ranges: { max_pages: 2, target_pages: null },
      processing_control: {
        timeouts: { base_in_seconds: 600, extra_time_per_page_in_seconds: 10 },
        job_failure_conditions: { allowed_page_failure_ratio: 1 },
      },
      processing_options: { cost_optimizer: { enable: false }, ocr_parameters: { languages: ['en'] } },
      output_options: { markdown: { annotate_links: true } },
      user_metadata: { tvdb_job: 'j', tvdb_attempt: 'a', tvdb_correlation: 'c' },
      webhook_configurations: [],
    });
    expect(job.user_metadata).toEqual({ tvdb_job: 'j', tvdb_attempt: 'a', tvdb_correlation: 'c' });
  });

  it('knows neither webhook secrets nor user metadata in a lagging region', async () => {
    const { url } = await started({ lagging: true });
    const body = {
      ...source,
      user_metadata: { tvdb_attempt: 'a' },
      webhook_configurations: [{ webhook_url: 'https://x', webhook_signing_secret: 's' }],
    };
    const { detail } = await bodyOf(await fetch(`${url}/api/v2/parse`, json(LLAMA_KEY, body)));
    expect(detail.map(({ loc }: { loc: unknown[] }) => loc.at(-1))).toEqual([
      'user_metadata',
      'webhook_signing_secret',
    ]);
  });

  it('answers 404 for a file that it does not have', async () => {
    const { llama } = await started();
    const create = llama.parsing.create({ file_id: 'dfl-none', tier: 'fast', version: 'latest' });
    await expect(create).rejects.toMatchObject({ status: 404, error: { detail: 'Source file not found in storage' } });
  });

  it('refuses a form whose file has another name, and one without configuration', async () => {
    const { url, llama } = await started();
    const form = new FormData();
    form.set('document', new File([pdf(1)], 'letter.pdf'));
    const headers = { authorization: `Bearer ${LLAMA_KEY}` };
    expect((await fetch(`${url}/api/v2/parse/upload`, { method: 'POST', body: form, headers })).status).toBe(400);
    form.set('file', new File([pdf(1)], 'letter.pdf'));
    expect((await fetch(`${url}/api/v2/parse/upload`, { method: 'POST', body: form, headers })).status).toBe(422);
    await expect(llama.files.create({ file: new File([pdf(1)], 'a.pdf'), purpose: 'anything' })).rejects.toMatchObject({
      status: 422,
    });
  });
});

describe('looking at a job', () => {
  it('has no markdown for a fast job, and does not know every expand', async () => {
    const { llama } = await started();
    const { id } = await llama.parsing.create({ file_id: await uploaded(llama), tier: 'fast', version: 'latest' });
    await expect(llama.parsing.get(id, { expand: ['markdown'] })).rejects.toMatchObject({
      status: 400,
      error: { detail: 'Markdown expansion is not available for FAST tier jobs.' },
    });
    await expect(llama.parsing.get(id, { expand: ['everything'] })).rejects.toMatchObject({ status: 422 });
    await expect(llama.parsing.get('pjb-none')).rejects.toMatchObject({ status: 404 });
  });

  it('has markdown for a new fast job where the deployment has it', async () => {
    const { llama } = await started({ fastMarkdown: true });
    const { id } = await llama.parsing.create({ file_id: await uploaded(llama), tier: 'fast', version: 'latest' });
    expect((await llama.parsing.get(id, { expand: ['markdown'] })).markdown?.pages).toHaveLength(2);
  });

  it('fails a file whose name has no readable extension', async () => {
    const { llama } = await started();
    const file = new File([pdf(1)], 'letter.exe');
    const { id: file_id } = await llama.files.create({ file, purpose: 'parse' });
    const { id } = await llama.parsing.create({ file_id, tier: 'fast', version: 'latest' });
    const { job } = await llama.parsing.get(id);
    expect(job).toMatchObject({ status: 'FAILED', error_message: expect.stringContaining('UNSUPPORTED_FILE_TYPE') });
  });
});

describe('the embeddings call', () => {
  const model = 'text-embedding-3-small';
  const long = 'word '.repeat(8_000);
  it.each<[string, object, number, object]>([
    [
      'an unknown key',
      { model, input: 'x', truncate: true },
      400,
      { message: 'Unrecognized request argument supplied: truncate' },
    ],
    ['no model', { input: 'x' }, 400, { message: 'you must provide a model parameter' }],
    ['an unknown model', { model: 'text-embedding-4', input: 'x' }, 404, { code: 'model_not_found' }],
    ['no input', { model }, 400, { param: 'input' }],
    ['an empty list', { model, input: [] }, 400, { param: 'input' }],
    [
      'an empty string',
      { model, input: ['x', ''] },
      400,
      { message: "Invalid 'input[1]': input cannot be an empty string." },
    ],
    ['a number', { model, input: 5 }, 400, { param: 'input' }],
    ['2049 inputs', { model, input: Array(2049).fill('x') }, 400, { code: 'array_above_max_length' }],
    [
      'more than 8192 tokens',
      { model, input: 'word '.repeat(9_000) },
      400,
      { message: "Invalid 'input[0]': maximum input length is 8192 tokens." },
    ],
    [
      'more than 300,000 tokens in all',
      { model, input: Array(38).fill(long) },
      400,
      {
        message: expect.stringMatching(/^Requested \d{6} tokens, max 300000 tokens per request$/),
        type: 'max_tokens_per_request',
        param: null,
        code: 'max_tokens_per_request',
      },
    ],
    ['too many dimensions', { model, input: 'x', dimensions: 2_000 }, 400, { type: 'invalid_request_error' }],
    [
      'dimensions of ada',
      { model: 'text-embedding-ada-002', input: 'x', dimensions: 5 },
      400,
      { type: 'invalid_request_error' },
    ],
    ['another encoding', { model, input: 'x', encoding_format: 'hex' }, 400, { type: 'invalid_request_error' }],
  ])('refuses %s and bills nothing', async (_what, body, status, error) => {
    const { openaiUrl, bill, log } = await started();
    const answer = await fetch(`${openaiUrl}/embeddings`, json(OPENAI_KEY, body));
    expect(answer.status).toBe(status);
    const found = (await bodyOf(answer)).error;
    expect(found).toMatchObject(error);
    expect(Object.keys(found).sort()).toEqual(['code', 'message', 'param', 'type']);
    expect([bill().tokens, log()[0]?.accepted]).toEqual([0, false]);
  });

  it('takes token arrays and text that looks like a special token', async () => {
    const { openai } = await started();
    expect((await openai.embeddings.create({ model, input: [1, 2, 3] })).usage.total_tokens).toBe(3);
    expect((await openai.embeddings.create({ model, input: [[1, 2], [3]] })).data).toHaveLength(2);
    expect((await openai.embeddings.create({ model, input: 'a <|endoftext|> b' })).usage.total_tokens).toBe(8);
  });

  it('counts one unbroken run of a million letters in time', async () => {
    const { openaiUrl } = await started();
    const answer = await fetch(`${openaiUrl}/embeddings`, json(OPENAI_KEY, { model, input: 'a'.repeat(1_000_000) }));
    expect(answer.status).toBe(400);
  });

  it('refuses an id of the client that is not short ASCII', async () => {
    const { openai } = await started();
    const headers = { 'X-Client-Request-Id': 'x'.repeat(513) };
    await expect(openai.embeddings.create({ model, input: 'x' }, { headers })).rejects.toMatchObject({ status: 400 });
  });

  it('lets only so many tokens through in a minute', async () => {
    const { openai, clock } = await started({ limits: { openaiTokens: 3 } });
    await openai.embeddings.create({ model, input: 'x' });
    const refused = openai.embeddings.create({ model, input: 'one two three' });
    await expect(refused).rejects.toMatchObject({ status: 429, code: 'rate_limit_exceeded' });
    await clock.advance(60_000);
    await openai.embeddings.create({ model, input: 'one two three' });
  });
});

describe('keys', () => {
  it('are needed, and are those of the service', async () => {
    const { url, openaiUrl } = await started();
    const bodies = async (key: string | null) => {
      const llama = await fetch(`${url}/api/v2/parse`, json(key, {}));
      const openai = await fetch(`${openaiUrl}/embeddings`, json(key, {}));
      return [llama.status, (await bodyOf(llama)).detail, openai.status, (await bodyOf(openai)).error.code];
    };
    const wrong = expect.stringMatching(/^Invalid API Key\. Please check your region/);
    expect(await bodies(null)).toEqual([401, 'Not authenticated', 401, null]);
    expect(await bodies('nonsense-key')).toEqual([401, wrong, 401, 'invalid_api_key']);
    expect((await bodies(OPENAI_KEY)).slice(0, 3)).toEqual([401, wrong, 400]);
    expect((await bodies(LLAMA_KEY)).slice(2)).toEqual([401, 'invalid_api_key']);
  });

  it('can be taken away and given while it runs', async () => {
    const { llama, control } = await started();
    control.keys({ refused: [LLAMA_KEY] });
    await expect(llama.parsing.list()).rejects.toMatchObject({ status: 401 });
    control.keys({ refused: [], accepted: ['another-key'] });
    await expect(llama.parsing.list()).rejects.toMatchObject({ status: 401 });
    control.keys({ accepted: ['another-key', LLAMA_KEY] });
    expect((await llama.parsing.list()).items).toEqual([]);
  });

  it('are counted as 20 requests a minute on the free plan, without a Retry-After', async () => {
    const { llama, clock } = await started({ limits: { llamaRequests: 20 } });
    for (let at = 0; at < 20; at++) await llama.parsing.listVersions();
    const error = await llama.parsing.listVersions().catch((thrown) => thrown);
    expect([error.status, error.headers.get('retry-after')]).toEqual([429, null]);
    await clock.advance(60_000);
    await llama.parsing.listVersions();
  });
});

it('does not answer to a name that a web page could have pointed here', async () => {
  const { url } = await started();
  const { request } = await import('undici');
  const { statusCode } = await request(`${url}/_control/log`, { headers: { host: 'evil.example' } });
  expect(statusCode).toBe(421);
});
