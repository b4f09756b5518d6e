/** OpenAI's models: the three for embeddings. */
import { MODELS } from './embedding-request.ts';
import type { Answer, SimRequest } from './exchange.ts';
import { openaiRefusal } from './openai-errors.ts';

/** All of them. */
export function listModels(): Answer {
  return { status: 200, body: { object: 'list', data: Object.keys(MODELS).map(modelJson) } };
}

/** One; throws `Refused` (404). */
export function getModel({ params: [id = ''] }: SimRequest): Answer {
  if (MODELS[id] !== undefined) return { status: 200, body: modelJson(id) };
  throw openaiRefusal(404, `The model '${id}' does not exist`, { param: 'model', code: 'model_not_found' });
}

function modelJson(id: string): Record<string, unknown> {
  return { id, object: 'model', created: 1_705_948_997, owned_by: 'system' };
}
