/** What the log keeps of a request: JSON as it is, a form without the bytes of its file, secrets as fingerprints. */
import { sha256 } from '../base/hash.ts';
import { isRecord, type SimRequest } from './exchange.ts';
import { fingerprint } from './key-check.ts';
import { readForm } from './multipart.ts';

const HEADERS = [
  ...['authorization', 'accept', 'content-type', 'content-length', 'user-agent', 'x-client-request-id'],
  ...['x-stainless-retry-count', 'openai-organization', 'openai-project', 'idempotency-key'],
];

/** The headers that tell something, the key as a fingerprint. */
export function loggedHeaders({ headers }: SimRequest): Record<string, string> {
  return Object.fromEntries(
    HEADERS.flatMap((name) => {
      const value = headers[name];
      if (typeof value !== 'string') return [];
      return [[name, name === 'authorization' ? fingerprint(value) : value]];
    }),
  );
}

/** The body for the log; `null` when there is none. */
export async function loggedBody(request: SimRequest): Promise<unknown> {
  if (request.body.length === 0) return null;
  const form = await readForm(request);
  if (form === undefined) return withoutSecrets(parsed(request.body.toString('utf8')));
  const files = Object.entries(form.files).map(([field, { name, bytes }]) => [
    field,
    { name, bytes: bytes.length, sha256: sha256(bytes) },
  ]);
  const { configuration, ...fields } = form.fields;
  return {
    ...fields,
    ...(configuration !== undefined && { configuration: withoutSecrets(parsed(configuration)) }),
    ...Object.fromEntries(files),
  };
}

/** `user_metadata.tvdb_attempt` of a parse, else the id that the client gave its request. */
export function attemptOf({ headers }: SimRequest, body: unknown): string | null {
  const settings = isRecord(body) && isRecord(body.configuration) ? body.configuration : body;
  const metadata = isRecord(settings) ? settings.user_metadata : undefined;
  if (isRecord(metadata) && typeof metadata.tvdb_attempt === 'string') return metadata.tvdb_attempt;
  const header = headers['x-client-request-id'];
  return typeof header === 'string' ? header : null;
}

/** JSON, or the first 2,000 characters of what is none. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text.slice(0, 2_000);
  }
}

function withoutSecrets(body: unknown): unknown {
  if (!isRecord(body) || !Array.isArray(body.webhook_configurations)) return body;
  const configurations = body.webhook_configurations.map((one: unknown) =>
    isRecord(one) && typeof one.webhook_signing_secret === 'string'
      ? { ...one, webhook_signing_secret: `sha256 ${sha256(one.webhook_signing_secret).slice(0, 8)}` }
      : one,
  );
  return { ...body, webhook_configurations: configurations };
}
