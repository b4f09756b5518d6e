/** Reads what OpenAI says about batches and the files they leave: hostile input is expected. */
import { TvdbError } from '../../base/errors.ts';
import { type Expected, readEmbeddingsBody } from './openai-answer.ts';
import type { BatchLook, BatchRow } from './port.ts';

/** Cleans words of the service: no key, no control characters, short. */
type Words = (text: string) => string;

/** A batch as listed. */
interface ListedBatch {
  id: string;
  /** Wall clock, milliseconds; to the second. */
  createdAt: number;
  /** The attempt it was made for, by its metadata. */
  attemptId: string | null;
}

/** What can stand in a path without being escaped: every id OpenAI gives. */
const ID = /^[\w-]{1,128}$/;

/** The id of an object that was made; `null` when there is none that could be asked for. */
export function idOf(text: string): string | null {
  const body = parsed(text);
  return isObject(body) && isId(body.id) ? body.id : null;
}

export interface BatchPage {
  batches: ListedBatch[];
  lastId: string | null;
  /** Whether another page follows. */
  more: boolean;
}

/** A page of batches; `null` when it is none. */
export function readList(text: string): BatchPage | null {
  const body = parsed(text);
  if (!isObject(body) || !Array.isArray(body.data) || typeof body.has_more !== 'boolean') return null;
  const batches: ListedBatch[] = [];
  for (const one of body.data as unknown[]) {
    if (!isObject(one) || !isId(one.id) || !isCount(one.created_at)) return null;
    const attempt = isObject(one.metadata) ? one.metadata.tvdb_attempt : null;
    const attemptId = typeof attempt === 'string' ? attempt : null;
    batches.push({ id: one.id, createdAt: one.created_at * 1000, attemptId });
  }
  return { batches, lastId: batches.at(-1)?.id ?? null, more: body.has_more };
}

/** Where a batch stands; `null` when the answer does not say. */
export function readBatch(text: string, words: Words): BatchLook | null {
  const body = parsed(text);
  if (!isObject(body) || !isId(body.id) || typeof body.status !== 'string') return null;
  const { status } = body;
  if (status === 'failed') return refusal(body.id, body.errors, words);
  if (status === 'completed' || status === 'expired' || status === 'cancelled') {
    const files = [body.output_file_id, body.error_file_id].map((id) => (isId(id) ? id : null));
    const total = isObject(body.usage) ? body.usage.total_tokens : null;
    return {
      state: 'ended',
      status,
      outputFileId: files[0] ?? null,
      errorFileId: files[1] ?? null,
      tokensBilled: isCount(total) ? total : null,
    };
  }
  const counts = isObject(body.request_counts) ? body.request_counts : {};
  const count = (value: unknown) => (isCount(value) ? value : 0);
  // A status that is not known yet is work that goes on: the deadline of the caller ends the wait.
  const done = count(counts.completed) + count(counts.failed);
  return { state: 'working', status: words(status).slice(0, 40), done, total: count(counts.total) };
}

/** The whole batch was refused: nothing was done, nothing is billed. */
function refusal(batchId: string, errors: unknown, words: Words): BatchLook {
  const list = isObject(errors) && Array.isArray(errors.data) ? (errors.data as unknown[]).filter(isObject) : [];
  const word = (value: unknown) => (typeof value === 'string' ? value : '');
  const [first] = list;
  const line = isCount(first?.line) ? `line ${first.line}: ` : '';
  const queueFull = list.some(({ code, message }) =>
    /token_limit_exceeded|enqueued token limit/i.test(`${word(code)} ${word(message)}`),
  );
  const error = new TvdbError('E309', {
    message: 'OpenAI refused a batch of embeddings',
    why: words(
      `${line}${[word(first?.code), word(first?.message)].filter(Boolean).join(': ') || 'it does not say why'}`,
    ),
    chargedNanoUsd: 0,
    facts: { service: 'openai', operation: 'batches.create', remote_id: batchId, problems: list.length },
  });
  return { state: 'failed', error, queueFull };
}

/**
 * The rows of the files of a batch, each id once; the first that has a vector counts. Returns how many lines say nothing
 * that can be read besides: those files are not whole.
 */
export function readRows(
  texts: readonly string[],
  expected: Omit<Expected, 'texts'>,
  words: Words,
): { rows: BatchRow[]; unreadable: number } {
  const rows = new Map<string, BatchRow>();
  let unreadable = 0;
  for (const line of texts.flatMap((text) => text.split('\n'))) {
    if (line.trim() === '') continue;
    const row = readRow(parsed(line), expected, words);
    if (row === null) unreadable += 1;
    else if (rows.get(row.id)?.vector == null) rows.set(row.id, row);
  }
  return { rows: [...rows.values()], unreadable };
}

function readRow(line: unknown, expected: Omit<Expected, 'texts'>, words: Words): BatchRow | null {
  if (!isObject(line) || typeof line.custom_id !== 'string') return null;
  const id = line.custom_id;
  const failed = (why: string, { tokens = 0, forGood = false } = {}): BatchRow => ({
    ...{ id, vector: null, tokens, forGood },
    why: words(why),
  });
  const { response, error } = line;
  if (!isObject(response)) {
    const { code, message } = isObject(error) ? error : {};
    return failed(typeof code === 'string' ? `${code}: ${String(message)}` : 'it was not done');
  }
  const { status_code: status, body } = response;
  if (status !== 200) return failed(`status ${String(status)}: ${saidBy(body)}`, { forGood: isForGood(status) });
  const reading = readEmbeddingsBody(body, { ...expected, texts: 1 });
  if (reading.kind === 'unreadable') return failed(reading.why);
  if (reading.kind === 'unusable') return failed(reading.why, { tokens: reading.tokens, forGood: !reading.again });
  const [vector] = reading.vectors;
  return vector === undefined ? failed('it has no vector') : { id, vector, tokens: reading.tokens };
}

/** Of the statuses of a row, those that speak of its text. */
function isForGood(status: unknown): boolean {
  return status === 400 || status === 413 || status === 422;
}

function saidBy(body: unknown): string {
  const error = isObject(body) && isObject(body.error) ? body.error : {};
  return typeof error.message === 'string' ? error.message : 'no words';
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isId(value: unknown): value is string {
  return typeof value === 'string' && ID.test(value);
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
