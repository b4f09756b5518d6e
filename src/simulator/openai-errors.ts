/** OpenAI's error bodies: `{error: {message, type, param, code}}`, all four keys always there. */
import { Refused } from './exchange.ts';

export interface OpenaiError {
  readonly message: string;
  readonly type: string;
  readonly param: string | null;
  readonly code: string | null;
}

/** A refusal in OpenAI's shape; `invalid_request_error` unless a type is given. */
export function openaiRefusal(
  status: number,
  message: string,
  more: Partial<Omit<OpenaiError, 'message'>> = {},
  headers: Readonly<Record<string, string>> = {},
): Refused {
  const error = { message, type: 'invalid_request_error', param: null, code: null, ...more };
  return new Refused({ status, body: { error }, headers });
}

/** The 429 that waiting never mends. */
export function quotaError(code = 'insufficient_quota'): OpenaiError {
  const message =
    'You exceeded your current quota, please check your plan and billing details. For more information on this error, ' +
    'read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.';
  return { message, type: 'insufficient_quota', param: null, code };
}

/** The 429 that passes. */
export function rateError(limit: number): OpenaiError {
  const message = `Rate limit reached for text-embedding-3-small in organization org-simulated on requests per min (RPM): Limit ${limit}, Used ${limit}, Requested 1.`;
  return { message, type: 'requests', param: null, code: 'rate_limit_exceeded' };
}

/** What OpenAI says with a status it was told to answer. */
export function openaiError(status: number, requestId: string): OpenaiError {
  const known: Readonly<Record<number, OpenaiError>> = {
    401: {
      message: 'Incorrect API key provided. You can find your API key at https://platform.openai.com/account/api-keys.',
      type: 'invalid_request_error',
      param: null,
      code: 'invalid_api_key',
    },
    402: quotaError(),
    403: {
      message: 'Country, region, or territory not supported',
      type: 'request_forbidden',
      param: null,
      code: 'unsupported_country_region_territory',
    },
    404: { message: 'The model does not exist', type: 'invalid_request_error', param: null, code: 'model_not_found' },
    429: rateError(3_000),
    503: {
      message: 'The engine is currently overloaded, please try again later',
      type: 'server_error',
      param: null,
      code: 'server_overloaded',
    },
  };
  const [type, code] = status >= 500 ? ['server_error', 'server_error'] : ['invalid_request_error', null];
  const message =
    status >= 500
      ? `The server had an error while processing your request. Sorry about that! (request ID ${requestId})`
      : 'Refused on demand.';
  return known[status] ?? { message, type, param: null, code };
}
