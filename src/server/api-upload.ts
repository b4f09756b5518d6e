/**
 * `POST /upload` announces a document and gets a signed URL; `PUT` to that URL brings the bytes. They are streamed into
 * the staging area, checked like those of `tvdb upload`, and only then is there a job.
 */
import { basename } from 'node:path';
import { TvdbError } from '../base/errors.ts';
import { displayName } from '../domain/file-name.ts';
import type { ServiceMode } from '../domain/service-mode.ts';
import { discardDocument, stageDocument, type UploadDeps } from '../pipeline/staging.ts';
import type { OnEvent } from '../pipeline/step.ts';
import { acceptDocument } from '../pipeline/upload.ts';
import { signUrl } from '../storage/signed-url.ts';
import { readAnnouncement } from './announcement.ts';
import { HttpRefusal, limitReached, refusal } from './api-errors.ts';
import { moneyFor, refuseUnpayable, type ServerConsent } from './api-spend.ts';
import { signedTarget } from './files.ts';
import type { Exchange } from './http-server.ts';
import { replyJson } from './reply.ts';
import { bodyParts, refusedHead } from './request-body.ts';
import type { Ticket, Tickets } from './tickets.ts';
import type { UploadLimits } from './upload-limits.ts';

export interface ApiUploadOptions {
  pipeline: UploadDeps;
  /** The run its jobs belong to. */
  runId: string;
  mode: ServiceMode;
  signingKey: Buffer;
  tickets: Tickets;
  uploadLimits: UploadLimits;
  consent: ServerConsent;
  onEvent: OnEvent;
  /** Ends the checks of documents. */
  abort: AbortSignal;
}

/** Answers `POST /upload`: 201 with ids and the signed URL. `base` is what the URL begins with. */
export async function announceUpload(exchange: Exchange, base: string, options: ApiUploadOptions): Promise<void> {
  const { pipeline, tickets, uploadLimits, signingKey, mode } = options;
  const { clock, ids, router, settings, userId } = pipeline;
  const announced = await readAnnouncement(exchange, settings.MAX_FILE_MB);
  const decision = router.decide(mode);
  router.refuseUnusable(decision);
  await uploadLimits.check();
  await refuseUnpayable(decision, options);
  if (tickets.count('waiting') >= settings.UPLOADS_PER_DAY)
    throw limitReached('Too many announced uploads wait for their bytes', settings.SIGNED_URL_TTL);
  // The signature keeps whole seconds; the ticket must not outlive it.
  const expiresAt = Math.floor((clock.now() + settings.SIGNED_URL_TTL) / 1000) * 1000;
  const ticket: Ticket = { ...announced, jobId: ids.uuid(), documentId: ids.uuid(), expiresAt, state: 'waiting' };
  tickets.add(ticket);
  const { documentId } = ticket;
  const url = signUrl(base, { method: 'PUT', bucket: 'raw', userId, documentId }, expiresAt, signingKey);
  replyJson(exchange, 201, {
    job_id: ticket.jobId,
    document_id: documentId,
    upload_url: url,
    expires_at: new Date(expiresAt).toISOString(),
  });
}

/** Answers a signed `PUT`: 201 with the new job, 200 with the one that did or does the same work. */
export async function receiveUpload(exchange: Exchange, options: ApiUploadOptions): Promise<void> {
  const ticket = ticketOf(exchange, options);
  ticket.state = 'receiving';
  try {
    const { job, document, state } = await options.uploadLimits.within(() => accept(exchange, ticket, options));
    ticket.state = 'accepted';
    ticket.job = job.job_id;
    const { job_id, correlation_id, status } = job;
    const answer = { job_id, document_id: document.document_id, result: state, status, correlation_id };
    replyJson(exchange, state === 'accepted' ? 201 : 200, answer);
  } catch (error) {
    // A document that is no good will not get better. Anything else (a cut connection, a full disk) may be tried again.
    const final = error instanceof TvdbError && error.category === 'data';
    ticket.state = final ? 'refused' : 'waiting';
    if (final) ticket.error = error;
    throw error;
  }
}

function ticketOf(exchange: Exchange, { pipeline, signingKey, tickets }: ApiUploadOptions): Ticket {
  const { clock, userId } = pipeline;
  const target = signedTarget(exchange, { signingKey, clock });
  if ('refused' in target) {
    if (target.refused === 'expired') throw refusal(410, 'The upload URL has expired', { fix: 'Announce it again.' });
    throw refusal(403, 'The upload URL is not valid', { fix: 'Use upload_url exactly as it was given.' });
  }
  const ticket = tickets.ofDocument(target.documentId);
  const known = target.userId === userId && target.bucket === 'raw' && ticket !== undefined;
  if (!known) throw refusal(410, 'Nobody waits for this upload any more', { fix: 'Announce it again.' });
  if (ticket.state === 'waiting') return ticket;
  const why = ticket.state === 'receiving' ? 'are being received' : 'were received';
  throw refusal(409, `The bytes of this upload ${why} already`, { fix: `See GET /job/${ticket.jobId}.` });
}

async function accept(exchange: Exchange, ticket: Ticket, options: ApiUploadOptions) {
  const { pipeline, runId, mode, onEvent, abort } = options;
  const { router } = pipeline;
  const decision = router.decide(mode);
  router.refuseUnusable(decision);
  const filename = displayName(basename(ticket.filename));
  checkHead(exchange, ticket, pipeline.settings.MAX_FILE_MB);
  const stream = wholeBody(exchange, ticket);
  const staged = await stageDocument(pipeline, { kind: 'stream', stream, filename }, abort);
  if (ticket.sha256 !== null && staged.staged.sha256 !== ticket.sha256) {
    await discardDocument(staged);
    throw refusal(400, 'The bytes are not those that were announced: their SHA-256 is another');
  }
  const wishes = { priority: 0, tags: {}, costCenter: null, force: false, keepOld: false };
  try {
    const money = await moneyFor(staged, decision, options);
    return await acceptDocument(pipeline, staged, { ...wishes, runId, decision, money, ids: ticket }, onEvent);
  } catch (error) {
    await discardDocument(staged).catch(() => {});
    throw error;
  }
}

function checkHead(exchange: Exchange, { bytes, filename }: Ticket, maxFileMb: number): void {
  const refused = refusedHead(exchange, maxFileMb * 1_000_000)?.refused;
  if (refused === 413) {
    const message = `${filename} is too large, at most ${maxFileMb} MB are accepted`;
    throw new HttpRefusal(413, new TvdbError('E406', { message }));
  }
  if (refused === 411) throw refusal(411, 'The bytes must come with Content-Length or in chunks');
  if (refused === 415) throw refusal(415, 'The bytes must come as they are, without Content-Encoding');
  const length = exchange.request.headers['content-length'];
  if (length !== undefined && Number(length) !== bytes)
    throw refusal(400, `${bytes} bytes were announced, the request says ${length}`);
}

/** The body, which must be exactly as long as announced. One byte too many ends it. */
async function* wholeBody(exchange: Exchange, { bytes }: Ticket): AsyncGenerator<Buffer> {
  let received = 0;
  for await (const part of bodyParts(exchange)) {
    received += part.length;
    if (received > bytes) throw refusal(400, `${bytes} bytes were announced, and more came`);
    yield part;
  }
  if (received < bytes) throw refusal(400, `${bytes} bytes were announced, ${received} came`);
}
