/** The HTTP API over a pipeline of its own, and a client that speaks to it. */

import { request } from 'undici';
import { onTestFinished } from 'vitest';
import type { ServiceMode } from '../../src/domain/service-mode.ts';
import { type ApiOptions, startApi } from '../../src/server/api.ts';
import { API_COMMAND } from '../../src/store/api-usage.ts';
import { startRun } from '../../src/store/runs.ts';
import { type HarnessOptions, pipeline } from '../pipeline/harness.ts';
import { virtualClock } from '../setup/virtual-clock.ts';
import { KEY } from './listener-place.ts';

export const TOKEN = 'a-token-of-the-tests';
// biome-ignore lint/suspicious/noExplicitAny: tests look into answers of many shapes
type Json = any;

export interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  json: Json;
}

/** A running API. Its clock stands still until a test moves it. */
export async function serving(
  harness: HarnessOptions = {},
  { mode = 'mock', ...changes }: Partial<ApiOptions> & { mode?: ServiceMode } = {},
) {
  const clock = virtualClock();
  const place = pipeline({ clock, ...harness });
  const runId = place.deps.ids.uuid();
  await place.store.write((trx) => startRun(trx, { runId, command: API_COMMAND, mode, now: clock.now() }));
  const api = await startApi({
    pipeline: place.deps,
    runId,
    mode,
    signingKey: KEY,
    token: TOKEN,
    port: 0,
    consent: { maxCost: undefined, yes: false, ci: false },
    onEvent: (event) => void place.events.push(event),
    abort: place.signals.abort.signal,
    ...changes,
  });
  onTestFinished(() => api.close());

  /** `body`: text and bytes are sent as they are, objects as JSON. */
  const ask = async (
    method: 'GET' | 'POST' | 'PUT' | 'DELETE',
    path: string,
    { body, headers = { authorization: `Bearer ${TOKEN}` } }: { body?: Json; headers?: Record<string, string> } = {},
  ): Promise<Answer> => {
    const plain = body === undefined || typeof body === 'string' || body instanceof Uint8Array || isStream(body);
    const answer = await request(path.startsWith('http') ? path : `${api.url}${path}`, {
      method,
      headers,
      body: plain ? body : JSON.stringify(body),
      // An agent would keep connections that the server is about to close.
      reset: true,
    });
    const text = await answer.body.text();
    return { status: answer.statusCode, headers: answer.headers, json: text === '' ? null : JSON.parse(text) };
  };
  const announce = (fields: object = {}) =>
    ask('POST', '/upload', { body: { filename: 'a.pdf', bytes: 12, ...fields } });
  const put = (url: string, body: Json, headers: Record<string, string> = {}) => ask('PUT', url, { body, headers });
  /** Announces bytes and sends them. */
  const upload = async (bytes: Buffer, fields: object = {}) => {
    const { json } = await announce({ bytes: bytes.length, ...fields });
    return { announced: json, answer: await put(json.upload_url, bytes) };
  };
  return { ...place, clock, api, runId, ask, announce, put, upload };
}

/** Bytes that pass for a PDF. */
export const pdf = (text: string) => Buffer.from(`%PDF-1.7\n${text}`);

function isStream(body: Json): boolean {
  return typeof body === 'object' && Symbol.asyncIterator in body;
}
