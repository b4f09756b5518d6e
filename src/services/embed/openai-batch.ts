/**
 * The Batch API of OpenAI for embeddings: half the price, within 24 hours. At most 50,000 rows with 50,000 texts and
 * 200 MB in a file, one model; the output comes in another order, and what failed or came too late in a second file.
 * An order is billed for the rows that were done, also when it expires or is cancelled.
 */
import { TvdbError } from '../../base/errors.ts';
import type { HttpAnswer } from '../http/client.ts';
import { type BatchPage, idOf, readBatch, readList, readRows } from './openai-batch-answer.ts';
import { ask, type ExchangeOptions, type Question } from './openai-exchange.ts';
import { contentError, type RequestFacts, requestIdOf, words } from './openai-failure.ts';
import type { EmbedBatchService } from './port.ts';

interface BatchModel {
  model: string;
  dimensions: number;
  encoding: 'base64' | 'float';
  /** Largest answer that is read. */
  answerBytes: number;
}

const MOST_ROWS = 50_000;
/** Of 200 MB: the last row may be a long one. */
const MOST_BYTES = 190_000_000;
/** What an account of the first tier may have waiting at one time; a larger batch would be refused for ever. */
const MOST_TOKENS = 3_000_000;
/** What a row of the output has besides its vector. */
const ROW_BYTES = 600;
/** A Float32 as JSON: sign, point, up to 17 digits, an exponent, a comma. */
const NUMBER_BYTES = 25;
/** Of a list; 100 are the most. */
const PAGE = 100;
/** An account with more batches than this in a quarter of an hour is not looked through. */
const MOST_PAGES = 50;

/** The batches of one client; see `EmbedBatchService`. Throws by the table in `openai-failure.ts`. */
export function createOpenAiBatch(
  options: ExchangeOptions,
  { model, dimensions, encoding, answerBytes }: BatchModel,
): EmbedBatchService {
  const vectorBytes = encoding === 'base64' ? Math.ceil((dimensions * 4) / 3) * 4 : dimensions * NUMBER_BYTES;
  const free = <T>(
    question: Pick<Question<T>, 'operation' | 'request' | 'read'> & Partial<Question<T>>,
    signal: AbortSignal,
  ) => ask(options, { billable: false, tokens: 0, ...question }, signal);
  const notUnderstood = (why: string, answer: HttpAnswer, request: RequestFacts) =>
    contentError({ kind: 'unreadable', why }, answer, request);
  const download = (fileId: string, signal: AbortSignal) =>
    free(
      {
        operation: 'batch-files.content',
        request: (client) => client.files.content(fileId),
        read: ({ text }, { scrub }) => ({ text, clean: (said: string) => words(said, scrub) }),
      },
      signal,
    ).catch((error: unknown) => {
      throw isUnknown(error) ? filesGone(fileId, error) : error;
    });

  return {
    mostRows: Math.max(1, Math.min(MOST_ROWS, Math.floor(answerBytes / (vectorBytes + ROW_BYTES)))),
    mostTokens: MOST_TOKENS,
    mostBytes: MOST_BYTES,

    line(id, text) {
      const body = { model, input: text, encoding_format: encoding };
      return `${JSON.stringify({ custom_id: id, method: 'POST', url: '/v1/embeddings', body })}\n`;
    },

    async upload(file, signal) {
      return free(
        {
          operation: 'batch-files.create',
          request: (client) => client.post('/files'),
          form: {
            fields: { purpose: 'batch' },
            file: { field: 'file', name: 'tvdb.jsonl', mime: 'application/jsonl', ...file },
          },
          read(answer, request) {
            const id = idOf(answer.text);
            if (id === null) throw notUnderstood('this describes no file', answer, request);
            return id;
          },
        },
        signal,
      );
    },

    async create(fileId, { attemptId, jobId, correlationId, leaving }, signal) {
      return ask(
        options,
        {
          operation: 'batches.create',
          billable: true,
          // Batches have a queue of their own, apart from the limits of the minute.
          tokens: 0,
          id: attemptId,
          leaving,
          request: (client) =>
            client.batches.create({
              input_file_id: fileId,
              endpoint: '/v1/embeddings',
              completion_window: '24h',
              metadata: { tvdb_attempt: attemptId, tvdb_job: jobId, tvdb_correlation: correlationId },
            }),
          read(answer, request) {
            const batchId = idOf(answer.text);
            if (batchId === null) throw notUnderstood('it has no id of a batch', answer, request);
            const requestId = requestIdOf(answer.headers, request.scrub);
            return { batchId, httpStatus: answer.status, ...(requestId !== undefined && { requestId }) };
          },
        },
        signal,
      );
    },

    async find(attemptId, from, signal) {
      const found: { id: string; createdAt: number }[] = [];
      let cursor: { after?: string } = {};
      for (let page = 0; page < MOST_PAGES; page++) {
        const query = { limit: PAGE, ...cursor };
        const list: BatchPage = await free(
          {
            operation: 'batches.list',
            request: (client) => client.batches.list(query),
            read(answer, request) {
              const read = readList(answer.text);
              if (read === null) throw notUnderstood('this is no list of batches', answer, request);
              return read;
            },
          },
          signal,
        );
        found.push(...list.batches.filter((batch) => batch.attemptId === attemptId));
        // The newest come first; the clock of the service is as fine as a second.
        const older = list.batches.length > 0 && list.batches.every(({ createdAt }) => createdAt + 1_000 < from);
        if (!list.more || older || list.lastId === null) {
          // Of the same second, the order of the list is what is known of their age.
          return found
            .reverse()
            .sort((a, b) => a.createdAt - b.createdAt)
            .map(({ id }) => id);
        }
        cursor = { after: list.lastId };
      }
      throw new TvdbError('E308', {
        message: 'OpenAI has too many batches to look through',
        why: `more than ${MOST_PAGES * PAGE} are newer than the request that is looked for`,
        retry: { kind: 'later' },
        facts: { service: 'openai', operation: 'batches.list' },
      });
    },

    async look(batchId, signal) {
      const read = (answer: HttpAnswer, request: RequestFacts) => {
        const look = readBatch(answer.text, (text) => words(text, request.scrub));
        if (look === null) throw notUnderstood('this describes no batch', answer, request);
        return look;
      };
      try {
        return await free(
          { operation: 'batches.get', request: (client) => client.batches.retrieve(batchId), read },
          signal,
        );
      } catch (error) {
        if (isUnknown(error)) return { state: 'gone' };
        throw error;
      }
    },

    async rows({ outputFileId, errorFileId }, space, signal) {
      const files = [outputFileId, errorFileId].flatMap((id) => id ?? []);
      const texts: string[] = [];
      let clean = (text: string) => text;
      for (const id of files) {
        const file = await download(id, signal);
        texts.push(file.text);
        clean = file.clean;
      }
      const { rows, unreadable } = readRows(texts, { model: space.model, dimensions: space.dimensions }, clean);
      if (unreadable === 0) return rows;
      throw new TvdbError('E308', {
        message: 'The results of a batch of OpenAI are not whole',
        why: `${unreadable} of ${unreadable + rows.length} lines cannot be read`,
        retry: { kind: 'later' },
        facts: { service: 'openai', operation: 'batch-files.content', unreadable },
      });
    },

    async remove(fileId, signal) {
      const status = await free(
        {
          operation: 'batch-files.delete',
          request: (client) => client.files.delete(fileId),
          // 404: it is gone. 403: a key that may do everything but this is no key to stop all work for.
          accepts: [403, 404],
          read: (answer) => answer.status,
        },
        signal,
      );
      if (status !== 403) return;
      throw new TvdbError('E309', {
        message: 'OpenAI does not let this key delete a file',
        fix: 'OpenAI deletes files of batches itself after 30 days.',
        facts: { service: 'openai', operation: 'batch-files.delete', http_status: status, remote_id: fileId },
      });
    },

    async cancel(batchId, signal) {
      await free(
        { operation: 'batches.cancel', request: (client) => client.batches.cancel(batchId), read: () => undefined },
        signal,
      ).catch((error: unknown) => {
        // 409, and 400 at some: it has ended. The next look tells how.
        if (!(error instanceof TvdbError && error.code === 'E309')) throw error;
      });
    },
  };
}

function isUnknown(error: unknown): error is TvdbError {
  return error instanceof TvdbError && error.facts.http_status === 404;
}

function filesGone(fileId: string, cause: unknown): TvdbError {
  return new TvdbError('E311', {
    message: 'The results of a batch are gone at OpenAI',
    why: 'they are kept for a while only',
    fix: 'What they held is embedded again, and paid again.',
    facts: { service: 'openai', remote_id: fileId },
    cause,
  });
}
