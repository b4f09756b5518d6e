/** Pages of lists the way LlamaCloud cuts them: `page_size`, and a token that stays right while things are added. */
import type { SimRequest } from './exchange.ts';
import { invalid } from './llama-errors.ts';

const MOST = 1_000;
const DEFAULT_SIZE = 50;

/**
 * One page of `items`, which are in falling order of `seq`. The token names the last item shown, so that what is added
 * meanwhile is not shown twice. Throws `Refused` (422) for a size out of bounds or a token of nobody's.
 */
export function pageOf<T extends { readonly seq: number }>(
  items: readonly T[],
  { query }: SimRequest,
  json: (item: T) => unknown,
): { items: unknown[]; next_page_token: string | null; total_size: number } {
  const size = Number(query.get('page_size') ?? DEFAULT_SIZE);
  if (!Number.isInteger(size) || size < 1 || size > MOST) {
    throw invalid(['query', 'page_size'], `Input should be between 1 and ${MOST}`, query.get('page_size'));
  }
  const token = query.get('page_token');
  const before = token === null ? Number.POSITIVE_INFINITY : readToken(token);
  const rest = items.filter(({ seq }) => seq < before);
  const page = rest.slice(0, size);
  const last = page.at(-1);
  const more = rest.length > page.length && last !== undefined;
  return { items: page.map(json), next_page_token: more ? tokenOf(last.seq) : null, total_size: items.length };
}

function tokenOf(seq: number): string {
  return Buffer.from(`before:${seq}`).toString('base64url');
}

function readToken(token: string): number {
  const match = /^before:(\d+)$/.exec(Buffer.from(token, 'base64url').toString('latin1'));
  if (match === null) throw invalid(['query', 'page_token'], 'Value error, invalid page token', token);
  return Number(match[1]);
}
