/** How a document gets to LlamaParse: its bytes once per account, and one accepted request to parse per attempt. */
import { extname } from 'node:path';
import type { ParseTier } from '../../domain/parse-options.ts';
import { requestIdOf } from './llamaparse-errors.ts';
import type { Exchange, Reply } from './llamaparse-exchange.ts';
import {
  correlationName,
  createBody,
  detailOf,
  type Lag,
  PATHS,
  readFileId,
  readJob,
  type WireJob,
} from './llamaparse-wire.ts';
import type { ParseAttempt, ParseReceipt, ParseRequest, WebhookTarget } from './port.ts';

/** Uploads that are still at the service (48 hours; an implementation forgets them earlier). */
export interface RemoteFiles {
  /** Id of the uploaded bytes in an account, or `null` when none is remembered. */
  get(account: string, sha256: string): Promise<string | null>;
  put(account: string, sha256: string, fileId: string): Promise<void>;
  forget(account: string, sha256: string): Promise<void>;
}

export interface SubmitOptions {
  exchange: Exchange;
  tier: ParseTier;
  version: string;
  files: RemoteFiles;
  webhook: () => WebhookTarget | null;
}

export interface Submitter {
  prepare(request: ParseRequest, signal: AbortSignal): Promise<void>;
  submit(request: ParseRequest, attempt: ParseAttempt, signal: AbortSignal): Promise<ParseReceipt>;
}

/** Names of extensions by type, for stored files without one: the service judges a file by the end of its name. */
const EXTENSIONS: Readonly<Record<string, string>> = { 'application/pdf': '.pdf' };

/** Why a refused request may be sent again in another form. Each is a proof that nothing was created. */
type Remedy = 'upload_again' | 'no_metadata' | 'no_webhook';

/** Sends documents. What it learns about a region that lags behind holds for its whole life. */
export function createSubmitter({ exchange, tier, version, files, webhook }: SubmitOptions): Submitter {
  const lag: Lag = { userMetadata: false, webhookSecret: false };

  /**
   * The id of the bytes at the service. Nothing remembered means upload: looking for an earlier upload of a crashed
   * process by `external_file_id` would cost one of 20 requests a minute to save a free upload.
   */
  async function fileIdOf(request: ParseRequest, signal: AbortSignal): Promise<string> {
    const { documentId, fileSha256 } = request;
    const known = await files.get(exchange.account(), fileSha256);
    if (known !== null) return known;
    // The name the user gave the file is nobody else's business.
    const fileId = await upload(request, documentId, signal);
    // The account after the request: a refused key may have been changed on the way.
    await files.put(exchange.account(), fileSha256, fileId);
    return fileId;
  }

  function upload({ path, mime, fileSha256 }: ParseRequest, name: string, signal: AbortSignal): Promise<string> {
    const extension = extname(path) || EXTENSIONS[mime] || '.bin';
    return exchange.get(
      {
        operation: 'files.create',
        billable: false,
        method: 'POST',
        path: PATHS.files,
        body: {
          fields: { purpose: 'parse', external_file_id: fileSha256 },
          file: { field: 'file', name: `${name}${extension}`, mime, path, sha256: fileSha256 },
        },
        read: readFileId,
      },
      signal,
    );
  }

  async function create(
    request: ParseRequest,
    attempt: ParseAttempt,
    signal: AbortSignal,
  ): Promise<{ reply: Reply<WireJob>; sent: { webhook: boolean; metadata: boolean }; account: string }> {
    // Where no metadata is taken the name of the file is the only mark that the list of jobs is known to show.
    const fileId = lag.userMetadata
      ? await upload(request, correlationName(attempt.attemptId), signal)
      : await fileIdOf(request, signal);
    const target = webhook();
    const account = exchange.account();
    const body = createBody({ tier, version, fileId, request, attempt, webhook: target, lag });
    const reply = await exchange.ask(
      {
        operation: 'parse.create',
        billable: true,
        method: 'POST',
        path: PATHS.parse,
        body: { json: body },
        // Of the address only its end is a secret; the rest may stand in an error.
        secrets: target === null ? [] : [target.secret, target.url.slice(target.url.lastIndexOf('/') + 1)],
        leaving: attempt.leaving,
        read: readJob,
        expected: (status, answer) => remedyOf(status, answer) !== null,
      },
      signal,
    );
    const sent = { webhook: body.webhook_configurations !== undefined, metadata: body.user_metadata !== undefined };
    return { reply, sent, account };
  }

  return {
    async prepare(request, signal) {
      if (!lag.userMetadata) await fileIdOf(request, signal);
    },
    async submit(request, attempt, signal) {
      const tried = new Set<Remedy>();
      for (;;) {
        const { reply, sent, account } = await create(request, attempt, signal);
        if (reply.ok) {
          const { value, answer } = reply;
          const requestId = requestIdOf(answer.headers);
          return {
            remoteId: value.id,
            httpStatus: answer.status,
            ...(requestId !== undefined && { requestId }),
          };
        }
        const remedy = remedyOf(reply.status, reply.body);
        // Each once: a region that goes on refusing is not asked for ever.
        if (remedy === null || tried.has(remedy)) throw reply.error;
        tried.add(remedy);
        if (remedy === 'upload_again') await files.forget(account, request.fileSha256);
        else if (remedy === 'no_metadata' && sent.metadata) lag.userMetadata = true;
        else if (remedy === 'no_webhook' && sent.webhook) lag.webhookSecret = true;
        else throw reply.error;
      }
    },
  };
}

/** What would get a refused create through, or `null`. */
function remedyOf(status: number, body: unknown): Remedy | null {
  const detail = detailOf(body);
  if (status === 422 && /\buser_metadata\b/.test(detail)) return 'no_metadata';
  if (status === 422 && /\bwebhook_signing_secret\b/.test(detail)) return 'no_webhook';
  if ((status === 400 || status === 404) && /file.{0,40}not found/i.test(detail)) return 'upload_again';
  return null;
}
