/** The lines of a batch: reading and checking them, and the lines that come out. */
import { sha256 } from '../base/hash.ts';
import type { EmbeddingRequest } from './embedding-request.ts';
import { answerOf } from './embeddings-endpoint.ts';
import { type Answer, isRecord, Refused } from './exchange.ts';

/** A line that is worth trying; `refused` is what the endpoint says about its body. */
export type BatchRow = { readonly customId: string } & (
  | { readonly asked: EmbeddingRequest }
  | { readonly refused: Answer }
);

export interface BatchProblem {
  readonly code: string;
  readonly line: number | null;
  readonly message: string;
  readonly param: string | null;
}

const MOST_ROWS = 50_000;
const MOST_INPUTS = 50_000;
const ENDPOINT = '/v1/embeddings';

/** Rows, or the problems for which the whole batch fails. */
export async function readRows(
  text: string,
  check: (body: unknown) => Promise<EmbeddingRequest>,
): Promise<{ rows: BatchRow[]; problems: BatchProblem[] }> {
  const rows: BatchRow[] = [];
  const problems: BatchProblem[] = [];
  const seen = new Set<string>();
  const models = new Set<unknown>();
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const problem = (code: string, line: number | null, message: string, param: string | null = null) =>
    problems.push({ code, line, message, param });
  if (lines.length === 0) problem('empty_file', null, 'The input file is empty.');
  if (lines.length > MOST_ROWS) problem('too_many_tasks', null, `The batch has more than ${MOST_ROWS} requests.`);
  for (const [index, line] of lines.slice(0, MOST_ROWS).entries()) {
    const row = parsed(line);
    const number = index + 1;
    if (row === undefined) {
      problem('invalid_json_line', number, 'This line is not parseable as valid JSON.');
      continue;
    }
    const { custom_id: customId, method, url, body } = row;
    if (typeof customId !== 'string' || customId === '') {
      problem('missing_required_parameter', number, "Missing required parameter: 'custom_id'.", 'custom_id');
    } else if (seen.has(customId)) {
      problem('duplicate_custom_id', number, `The custom_id '${customId}' is used more than once.`, 'custom_id');
    } else if (method !== 'POST' || url !== ENDPOINT) {
      problem('invalid_url', number, `The method and URL must be POST ${ENDPOINT}, as the batch says.`, 'url');
    } else {
      seen.add(customId);
      models.add(isRecord(body) ? body.model : undefined);
      rows.push({ customId, ...(await checked(body, check)) });
    }
  }
  if (models.size > 1)
    problem('mismatched_model', null, 'All requests of a batch must name the same model.', 'body.model');
  const inputs = rows.reduce((sum, row) => sum + ('asked' in row ? row.asked.texts.length : 0), 0);
  if (inputs > MOST_INPUTS)
    problem('too_many_inputs', null, `The batch has more than ${MOST_INPUTS} embedding inputs.`);
  return { rows, problems };
}

/** In an order of its own, which is the same each time for the same batch. */
export function shuffled<T extends { readonly customId: string }>(rows: readonly T[], batchId: string): T[] {
  const keyed = rows.map((row) => ({ row, key: sha256(`${batchId}:${row.customId}`) }));
  return keyed.sort((a, b) => (a.key < b.key ? -1 : 1)).map(({ row }) => row);
}

/** The output line of a row that was answered. */
export function answeredLine(row: BatchRow & { asked: EmbeddingRequest }, batchId: string): string {
  return lineOf(row, batchId, { status_code: 200, body: answerOf(row.asked) }, null);
}

/** The error line of a row whose body is refused, whatever is asked of the batch. */
export function refusedLine(row: BatchRow & { refused: Answer }, batchId: string): string {
  return lineOf(row, batchId, { status_code: row.refused.status, body: row.refused.body }, null);
}

/** The error line of a row that failed on the server's side. */
export function failedLine(row: BatchRow, batchId: string): string {
  const error = {
    message: 'The server had an error while processing your request.',
    type: 'server_error',
    param: null,
    code: null,
  };
  return lineOf(row, batchId, { status_code: 500, body: { error } }, null);
}

/** The error line of a row that was not reached in time. */
export function expiredLine(row: BatchRow, batchId: string): string {
  const message = 'This request could not be executed before the completion window expired.';
  return lineOf(row, batchId, null, { code: 'batch_expired', message });
}

function lineOf({ customId }: BatchRow, batchId: string, response: object | null, error: object | null): string {
  const id = sha256(`${batchId}:${customId}`).slice(0, 24);
  const whole = response === null ? null : { request_id: `req_${id}`, ...response };
  return `${JSON.stringify({ id: `batch_req_${id}`, custom_id: customId, response: whole, error })}\n`;
}

async function checked(
  body: unknown,
  check: (body: unknown) => Promise<EmbeddingRequest>,
): Promise<{ asked: EmbeddingRequest } | { refused: Answer }> {
  try {
    return { asked: await check(body) };
  } catch (thrown) {
    if (thrown instanceof Refused) return { refused: thrown.answer };
    throw thrown;
  }
}

function parsed(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
