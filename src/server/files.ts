/** Serves stored files to whoever holds a signed URL of one: a parser that fetches the document by itself. */
import { open } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import type { Clock } from '../base/clock.ts';
import type { Storage } from '../storage/local.ts';
import { type SignedTarget, verifySignedUrl } from '../storage/signed-url.ts';
import { documentById } from '../store/documents.ts';
import type { Store } from '../store/open.ts';
import type { Exchange } from './http-server.ts';
import { reply } from './reply.ts';

export interface FilesOptions {
  store: Pick<Store, 'db'>;
  storage: Pick<Storage, 'pathOf'>;
  signingKey: Buffer;
  clock: Clock;
}

/** The target of a signed request, or why it is none. `url` is the request's own, path and query. */
export function signedTarget(
  { request }: Exchange,
  { signingKey, clock }: Pick<FilesOptions, 'signingKey' | 'clock'>,
): ReturnType<typeof verifySignedUrl> {
  const [path = '', query = ''] = (request.url ?? '').split('?', 2);
  // Put together by parts: a path such as `//host/x` must stay a path.
  const url = new URL('http://storage');
  url.pathname = path;
  url.search = query;
  if (url.pathname !== path) return { refused: 'malformed' };
  return verifySignedUrl(request.method ?? '', url, clock.now(), signingKey);
}

/** Answers a signed `GET`: the bytes, 403 for a URL that is not valid (all alike), 404 for a file that is gone. */
export async function sendFile(exchange: Exchange, options: FilesOptions): Promise<void> {
  const { response } = exchange;
  const target = signedTarget(exchange, options);
  if ('refused' in target) return reply(response, 403, '');
  const stored = await find(target, options);
  if (stored === null) return reply(response, 404, '');
  const file = await open(options.storage.pathOf(stored.uri), 'r').catch(() => null);
  if (file === null) return reply(response, 404, '');
  try {
    response.writeHead(200, {
      'content-type': stored.type,
      'content-length': (await file.stat()).size,
      'content-disposition': 'attachment',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    });
    // A reader that leaves is its own business.
    await pipeline(file.createReadStream({ autoClose: false }), response).catch(() => response.destroy());
  } finally {
    await file.close();
  }
}

async function find(
  { bucket, userId, documentId }: SignedTarget,
  { store }: FilesOptions,
): Promise<{ uri: string; type: string } | null> {
  const document = await documentById(store.db, documentId);
  if (document === undefined || document.user_id !== userId) return null;
  if (bucket === 'raw') return { uri: document.raw_path, type: document.mime };
  return document.parsed_path === null ? null : { uri: document.parsed_path, type: 'text/markdown; charset=utf-8' };
}
