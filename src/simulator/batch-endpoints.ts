/** OpenAI's batches: `/v1/batches`, for embeddings. */
import type { Clock } from '../base/clock.ts';
import type { Ids } from '../base/ids.ts';
import { type Batch, type BatchStatus, batchEnded, enqueuedTokens, settleBatch } from './batch.ts';
import type { BatchFiles } from './batch-files.ts';
import { readRows } from './batch-rows.ts';
import type { Biller } from './bill.ts';
import type { EmbeddingsEndpoint } from './embeddings-endpoint.ts';
import { type Answer, isRecord, jsonBody, type Refused, type SimRequest } from './exchange.ts';
import type { FaultBook } from './faults.ts';
import { openaiRefusal } from './openai-errors.ts';

export interface BatchEndpoints {
  create(request: SimRequest): Promise<Answer>;
  list(request: SimRequest): Answer;
  retrieve(request: SimRequest): Answer;
  cancel(request: SimRequest): Answer;
  /** Brings all up to date, for the bill. */
  update(): void;
  clear(): void;
}

export interface BatchParts {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly biller: Biller;
  readonly faults: FaultBook;
  readonly files: BatchFiles;
  readonly embeddings: EmbeddingsEndpoint;
  /** Milliseconds that a batch takes. */
  readonly duration: number;
  /** Tokens that may wait at one time. */
  readonly mostTokens: number;
}

const KEYS = ['input_file_id', 'endpoint', 'completion_window', 'metadata', 'output_expires_after'];
const DAY_S = 24 * 3_600;

/** No batches yet. */
export function createBatchEndpoints(parts: BatchParts): BatchEndpoints {
  const { clock, ids, faults, files, embeddings } = parts;
  const batches = new Map<string, Batch>();

  const update = (batch: Batch): Batch => {
    settleBatch(batch, { monotonic: clock.monotonic(), wall: clock.now() }, parts);
    return batch;
  };
  const wanted = ({ params: [id = ''] }: SimRequest): Batch => {
    const batch = batches.get(id);
    if (batch === undefined) throw openaiRefusal(404, `No batch found with id '${id}'.`, { param: 'id' });
    return update(batch);
  };

  return {
    async create(request) {
      const body = checked(jsonBody(request, () => bad('We could not parse the JSON body of your request.')));
      const file = files.get(body.input_file_id);
      if (file === undefined)
        throw openaiRefusal(404, `No such File object: ${body.input_file_id}`, { param: 'input_file_id' });
      const { rows, problems } = await readRows(file.text(), embeddings.check);
      const header = request.headers['x-client-request-id'];
      const made = (): Batch => ({
        id: `batch_${ids.uuid().replaceAll('-', '')}`,
        inputFileId: file.id,
        attemptId: body.metadata?.tvdb_attempt ?? (typeof header === 'string' ? header : null),
        metadata: body.metadata,
        rows,
        problems,
        faults: faults.takeEach('batch'),
        createdAt: clock.now(),
        start: clock.monotonic(),
        duration: parts.duration,
        status: 'validating',
        reached: new Map(),
        done: [],
        outputFileId: null,
        errorFileId: null,
        tokens: 0,
      });
      const batch = made();
      const waiting = [batch, ...[...batches.values()].map(update)].reduce((sum, one) => sum + enqueuedTokens(one), 0);
      if (waiting > parts.mostTokens) {
        const message = `Enqueued token limit reached. Limit: ${parts.mostTokens} enqueued tokens. Please try again once some in_progress batches have been completed.`;
        problems.push({ code: 'token_limit_exceeded', line: null, message, param: null });
      }
      const all = [batch, ...(request.fault?.action === 'duplicate' ? [made()] : [])];
      for (const one of all) batches.set(one.id, one);
      return { status: 200, body: batchJson(batch), accepted: all.map(({ id }) => id) };
    },
    list({ query }) {
      const all = [...batches.values()].reverse().map(update);
      const after = query.get('after');
      const from = after === null ? 0 : all.findIndex(({ id }) => id === after) + 1;
      const limit = Number(query.get('limit') ?? 20);
      if (!Number.isInteger(limit) || limit < 1 || limit > 100)
        throw bad("Invalid 'limit': it must be 1 to 100.", 'limit');
      const page = all.slice(from, from + limit);
      const body = {
        object: 'list',
        data: page.map(batchJson),
        first_id: page[0]?.id ?? null,
        last_id: page.at(-1)?.id ?? null,
        has_more: from + limit < all.length,
      };
      return { status: 200, body };
    },
    retrieve: (request) => ({ status: 200, body: batchJson(wanted(request)) }),
    cancel(request) {
      const batch = wanted(request);
      if (batchEnded(batch)) {
        throw openaiRefusal(409, `Cannot cancel a batch with status '${batch.status}'.`, {
          code: 'batch_not_cancellable',
        });
      }
      batch.status = 'cancelling';
      batch.reached.set('cancelling', clock.now());
      return { status: 200, body: batchJson(batch) };
    },
    update() {
      for (const batch of batches.values()) update(batch);
    },
    clear: () => batches.clear(),
  };
}

interface BatchBody {
  input_file_id: string;
  metadata: Record<string, string> | null;
}

function checked(body: unknown): BatchBody {
  if (!isRecord(body)) throw bad('We could not parse the JSON body of your request.');
  const unknown = Object.keys(body).find((key) => !KEYS.includes(key));
  if (unknown !== undefined) throw bad(`Unrecognized request argument supplied: ${unknown}`);
  const { input_file_id: file, endpoint, completion_window: window, metadata = null } = body;
  if (typeof file !== 'string') throw bad("Missing required parameter: 'input_file_id'.", 'input_file_id');
  if (endpoint !== '/v1/embeddings')
    throw bad(`Invalid value: '${String(endpoint)}'. Here it is '/v1/embeddings'.`, 'endpoint');
  if (window !== '24h')
    throw bad(`Invalid value: '${String(window)}'. Supported values are: '24h'.`, 'completion_window');
  if (
    metadata !== null &&
    !(isRecord(metadata) && Object.values(metadata).every((value) => typeof value === 'string'))
  ) {
    throw bad("Invalid type for 'metadata': expected a map of strings.", 'metadata');
  }
  return { input_file_id: file, metadata: metadata as Record<string, string> | null };
}

function bad(message: string, param: string | null = null): Refused {
  return openaiRefusal(400, message, { param });
}

function batchJson(batch: Batch): Record<string, unknown> {
  const seconds = (status: BatchStatus) => {
    const at = batch.reached.get(status);
    return at === undefined ? null : Math.floor(at / 1000);
  };
  const created = Math.floor(batch.createdAt / 1000);
  const invalid = { code: 'invalid_input', line: null, message: 'The batch was told to fail.', param: null };
  const failing = Number(batch.faults.get('row-errors')?.params.value ?? (batch.faults.has('row-errors') ? 1 : 0));
  const failed = batch.done.filter((row, at) => 'refused' in row || at < failing).length;
  return {
    id: batch.id,
    object: 'batch',
    endpoint: '/v1/embeddings',
    errors:
      batch.status === 'failed'
        ? { object: 'list', data: batch.problems.length > 0 ? batch.problems : [invalid] }
        : null,
    input_file_id: batch.inputFileId,
    completion_window: '24h',
    status: batch.status,
    output_file_id: batch.outputFileId,
    error_file_id: batch.errorFileId,
    created_at: created,
    in_progress_at: seconds('in_progress'),
    expires_at: created + DAY_S,
    finalizing_at: seconds('finalizing'),
    completed_at: seconds('completed'),
    failed_at: seconds('failed'),
    expired_at: seconds('expired'),
    cancelling_at: seconds('cancelling'),
    cancelled_at: seconds('cancelled'),
    request_counts: { total: batch.rows.length, completed: batch.done.length - failed, failed },
    usage: {
      input_tokens: batch.tokens,
      input_tokens_details: { cached_tokens: 0 },
      output_tokens: 0,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: batch.tokens,
    },
    metadata: batch.metadata,
  };
}
