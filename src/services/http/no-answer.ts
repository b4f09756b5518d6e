/** Why a request brought no whole answer, in words that quote nothing of it: causes of the network may hold headers. */
import type { HttpFailure } from './client.ts';

const WHYS: Readonly<Record<HttpFailure['kind'], string>> = {
  aborted: 'it was given up',
  unreachable: 'there was no connection',
  cut: 'the connection broke',
  headers_timeout: 'no answer began in time',
  body_timeout: 'the answer stopped half-way',
  request_timeout: 'it took too long',
  too_large: 'the answer is larger than RESPONSE_LIMIT_MB',
};

/** The reason as the part of a sentence, with whether anything left and the code of the system, if there is one. */
export function whyNoAnswer({ kind, left, cause }: Pick<HttpFailure, 'kind' | 'left' | 'cause'>): string {
  return `${WHYS[kind]}${left ? '' : '; nothing was sent'}${systemCode(cause)}`;
}

/** The code of a system call or of undici, which holds nothing of the request. */
function systemCode(cause: unknown): string {
  const code = (cause as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' && /^[A-Z0-9_]{1,60}$/.test(code) ? ` (${code})` : '';
}
