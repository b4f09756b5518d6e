import { describe, expect, it } from 'vitest';
import { createScrubber } from '../../src/base/scrub.ts';
import { pdf, serving } from './api-place.ts';

const KEY = 'llx-Kilimanjaro-0123456789+/=';

/** Talks to an API as somebody would who gets keys into everything it takes. Returns all that it answered. */
async function talk(scrub?: (text: string) => string): Promise<string> {
  const { ask, announce, put } = await serving({}, scrub === undefined ? {} : { scrub });
  const said: unknown[] = [];
  const { json } = await announce({ filename: `${KEY}.pdf`, bytes: 12 });
  said.push((await ask('GET', `/job/${json.job_id}`)).json);
  said.push((await announce({ [KEY]: 1 })).json);
  said.push((await put(json.upload_url, pdf('abc'))).json);
  said.push((await ask('GET', `/job/${json.job_id}`)).json);
  said.push((await ask('GET', `/${KEY}`)).json, (await ask('POST', `/job/${KEY}`)).json);
  said.push((await ask('GET', '/health', { headers: { authorization: `Bearer ${KEY}` } })).json);
  said.push((await put(`${json.upload_url}${encodeURIComponent(KEY)}`, pdf('abc'))).json);
  return JSON.stringify(said);
}

describe('T90 the answers of the API', () => {
  it('have no key in them, whatever names and paths it is put into', async () => {
    expect(await talk(createScrubber([KEY]))).not.toContain('Kilimanjaro');
  });

  it('would have without the scrubber', async () => {
    expect((await talk()).split('Kilimanjaro').length).toBeGreaterThan(2);
  });
});
