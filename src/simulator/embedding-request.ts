/** Checks the body of an embeddings call with OpenAI's limits and words. */
import { isRecord, type Refused } from './exchange.ts';
import { openaiRefusal } from './openai-errors.ts';

export const MODELS: Readonly<Record<string, { readonly dimensions: number; readonly shortens: boolean }>> = {
  'text-embedding-3-small': { dimensions: 1536, shortens: true },
  'text-embedding-3-large': { dimensions: 3072, shortens: true },
  'text-embedding-ada-002': { dimensions: 1536, shortens: false },
};

const MOST_INPUTS = 2048;
const MOST_TOKENS = 8192;
const MOST_TOKENS_IN_ALL = 300_000;
const KEYS = ['model', 'input', 'dimensions', 'encoding_format', 'user'];

/** A body that passed the checks. Token arrays are inputs too: their text is their numbers. */
export interface EmbeddingRequest {
  readonly model: string;
  readonly dimensions: number;
  readonly base64: boolean;
  readonly texts: readonly string[];
  readonly tokens: number;
}

/** Throws `Refused` with the body that OpenAI sends. */
export function checkEmbeddingRequest(body: unknown, count: (text: string) => number): EmbeddingRequest {
  if (!isRecord(body)) throw bad('We could not parse the JSON body of your request.');
  const unknown = Object.keys(body).find((key) => !KEYS.includes(key));
  if (unknown !== undefined) throw bad(`Unrecognized request argument supplied: ${unknown}`);
  const { model, encoding_format: format = 'float', user } = body;
  if (model === undefined || model === null) throw bad('you must provide a model parameter');
  const known = typeof model === 'string' ? MODELS[model] : undefined;
  if (typeof model !== 'string' || known === undefined) {
    throw openaiRefusal(404, `The model \`${String(model)}\` does not exist or you do not have access to it.`, {
      code: 'model_not_found',
    });
  }
  if (format !== 'float' && format !== 'base64') {
    throw bad(`Invalid value for 'encoding_format': '${String(format)}'. Supported values are: 'float' and 'base64'.`);
  }
  if (user !== undefined && typeof user !== 'string') throw bad("Invalid type for 'user': expected a string.");
  const dimensions = dimensionsOf(body.dimensions, known);
  const { texts, tokens } = inputsOf(body.input, count);
  return { model, dimensions, base64: format === 'base64', texts, tokens };
}

function dimensionsOf(asked: unknown, { dimensions, shortens }: { dimensions: number; shortens: boolean }): number {
  if (asked === undefined) return dimensions;
  if (!shortens) throw bad('This model does not support specifying dimensions.');
  if (typeof asked !== 'number' || !Number.isInteger(asked) || asked < 1) {
    throw bad(`Invalid value for 'dimensions' = ${String(asked)}. Must be a positive integer.`);
  }
  if (asked > dimensions) {
    throw bad(`Invalid value for 'dimensions' = ${asked}. Must be less than or equal to ${dimensions}.`);
  }
  return asked;
}

function inputsOf(input: unknown, count: (text: string) => number): { texts: string[]; tokens: number } {
  if (input === undefined || input === null) throw bad("Missing required parameter: 'input'.", 'input');
  const list = Array.isArray(input) && !input.every(Number.isInteger) ? input : [input];
  const items: unknown[] = Array.isArray(input) && input.length === 0 ? [] : list;
  const length = Array.isArray(input) ? input.length : 1;
  if (items.length === 0) throw bad("Invalid 'input': input cannot be an empty array.", 'input');
  if (length > MOST_INPUTS) {
    throw openaiRefusal(
      400,
      `Invalid 'input': array too long. Expected an array with maximum length ${MOST_INPUTS}, but got an array with length ${length} instead.`,
      { param: 'input', code: 'array_above_max_length' },
    );
  }
  let total = 0;
  const texts = items.map((item, index) => {
    const isTokens =
      Array.isArray(item) && item.length > 0 && item.every((token) => Number.isInteger(token) && token >= 0);
    if (typeof item !== 'string' && !isTokens)
      throw bad(`Invalid 'input[${index}]': expected a string or tokens.`, 'input');
    if (item === '') throw bad(`Invalid 'input[${index}]': input cannot be an empty string.`, 'input');
    const tokens = typeof item === 'string' ? count(item) : (item as number[]).length;
    if (tokens > MOST_TOKENS) throw bad(`Invalid 'input[${index}]': maximum input length is ${MOST_TOKENS} tokens.`);
    total += tokens;
    return typeof item === 'string' ? item : (item as number[]).join(' ');
  });
  if (total > MOST_TOKENS_IN_ALL) {
    const what = 'max_tokens_per_request';
    throw openaiRefusal(400, `Requested ${total} tokens, max ${MOST_TOKENS_IN_ALL} tokens per request`, {
      type: what,
      code: what,
    });
  }
  return { texts, tokens: total };
}

function bad(message: string, param: string | null = null): Refused {
  return openaiRefusal(400, message, { param });
}
