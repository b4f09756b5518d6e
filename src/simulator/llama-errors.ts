/** LlamaCloud's error bodies (FastAPI): `{detail: text}`, and a list of complaints for 422. */
import { Refused } from './exchange.ts';
import type { Complaint } from './parse-request.ts';

/** A refusal with a text, or with the list of a 422. */
export function llamaRefusal(status: number, detail: string | readonly Complaint[]): Refused {
  return new Refused({ status, body: { detail } });
}

/** A 422 about one field. */
export function invalid(loc: readonly (string | number)[], msg: string, input: unknown, type = 'value_error'): Refused {
  return llamaRefusal(422, [{ type, loc, msg, input }]);
}

/** What LlamaCloud says with a status it was told to answer. */
export function llamaDetail(status: number, requestId: string): string | readonly Complaint[] {
  const text: Readonly<Record<number, string>> = {
    400: 'Bad request',
    401: 'Invalid API Key. Please check your region and try again.',
    402: "You've exceeded the maximum number of credits for your plan.",
    403: 'You do not have access to this project.',
    404: 'Parse job not found',
    409: 'Conflict',
    413: 'Request entity too large',
    429: 'Rate limit exceeded. Please try again later.',
    503: 'Service unavailable',
  };
  if (status === 422)
    return [{ type: 'value_error', loc: ['body'], msg: 'Value error, refused on demand', input: null }];
  return text[status] ?? `Internal server error. Correlation ID: ${requestId}`;
}
