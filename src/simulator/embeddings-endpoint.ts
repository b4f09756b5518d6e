/** OpenAI's embeddings, and everything that can be wrong with an answer. */
import type { Biller } from './bill.ts';
import { checkEmbeddingRequest, type EmbeddingRequest } from './embedding-request.ts';
import { textVector } from './embedding-vector.ts';
import { type Answer, jsonBody, type SimRequest } from './exchange.ts';
import { openaiRefusal } from './openai-errors.ts';
import { loadTokenCounter } from './token-count.ts';

interface Row {
  object: 'embedding';
  index?: number;
  embedding: string | (number | null)[];
}

export interface EmbeddingsEndpoint {
  create(request: SimRequest): Promise<Answer>;
  /** Checks a body as the endpoint would, for batches. Throws `Refused`. */
  check(body: unknown): Promise<EmbeddingRequest>;
}

/** `delay` is in milliseconds; `admit` takes a request's tokens from the minute's allowance or throws `Refused`. */
export function createEmbeddings(
  biller: Biller,
  delay: number,
  admit: (tokens: number) => Readonly<Record<string, string>>,
): EmbeddingsEndpoint {
  let counter: Promise<(text: string) => number> | undefined;

  async function checked(body: unknown): Promise<EmbeddingRequest> {
    counter ??= loadTokenCounter();
    return checkEmbeddingRequest(body, await counter);
  }

  return {
    async create(request) {
      checkClientId(header(request, 'x-client-request-id'));
      const notJson = () => openaiRefusal(400, 'We could not parse the JSON body of your request.');
      const asked = await checked(jsonBody(request, notJson));
      const headers = admit(asked.tokens);
      biller.request({
        requestId: request.requestId,
        attemptId: header(request, 'x-client-request-id'),
        model: asked.model,
        tokens: asked.tokens,
        batchId: null,
      });
      return {
        status: 200,
        body: answerOf(asked, request.fault?.action),
        headers,
        accepted: [request.requestId],
        delay,
      };
    },
    check: checked,
  };
}

/** The answer to a checked request, spoiled as `action` says. */
export function answerOf(asked: EmbeddingRequest, action?: string): Record<string, unknown> {
  const dimensions = action === 'wrong-dims' ? 256 : asked.dimensions;
  const base64 = asked.base64 && action !== 'floats';
  const rows = asked.texts.map((text, index): Row => {
    const vector = spoiled(textVector(text, dimensions), action, index === asked.texts.length - 1);
    return { object: 'embedding', index, embedding: base64 ? base64Of(vector) : floatsOf(vector) };
  });
  return {
    object: 'list',
    data: rearranged(rows, action),
    model: action === 'wrong-model' ? 'text-embedding-ada-002' : asked.model,
    usage: { prompt_tokens: asked.tokens, total_tokens: asked.tokens },
  };
}

/** Faults of one vector hit the last row, because a check of the first alone would miss it. */
function spoiled(vector: Float32Array, action: string | undefined, last: boolean): Float32Array {
  if (action === 'not-unit') return vector.map((value) => value * 2);
  if (!last) return vector;
  if (action === 'short-vector') return vector.slice(0, vector.length / 2);
  if (action === 'zero') return new Float32Array(vector.length);
  if (action === 'nan') return vector.map((value, at) => (at === 7 ? Number.NaN : value));
  return vector;
}

function rearranged(rows: Row[], action: string | undefined): Row[] {
  if (action === 'reorder') return [...rows].reverse();
  if (action === 'missing-row') return rows.slice(0, -1);
  if (action === 'missing-index') return rows.map(({ object, embedding }) => ({ object, embedding }));
  if (action === 'duplicate-index') return rows.map((row) => ({ ...row, index: 0 }));
  return rows;
}

/** Little-endian float32. */
function base64Of(vector: Float32Array): string {
  const bytes = Buffer.alloc(vector.length * 4);
  for (const [at, value] of vector.entries()) bytes.writeFloatLE(value, at * 4);
  return bytes.toString('base64');
}

/** Nine digits hold a float32 exactly. JSON has no NaN: it comes out as `null`. */
function floatsOf(vector: Float32Array): number[] {
  return Array.from(vector, (value) => Number(value.toPrecision(9)));
}

/** OpenAI takes ASCII of at most 512 characters as the client's own id of a request. */
function checkClientId(id: string | null): void {
  if (id === null || /^[\x20-\x7e]{1,512}$/.test(id)) return;
  throw openaiRefusal(400, 'Invalid X-Client-Request-Id: it must be ASCII of at most 512 characters.');
}

function header({ headers }: SimRequest, name: string): string | null {
  const value = headers[name];
  return typeof value === 'string' ? value : null;
}
