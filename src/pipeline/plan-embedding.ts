/** `chunks_stored`: decides the one embedding space of this document and counts what will be sent. */
import { TvdbError } from '../base/errors.ts';
import { bufferedChunks, keepOnlySpace } from '../store/chunks.ts';
import { awaitBatch } from './economy.ts';
import { requireSameDecision, routeChange, routeOf, unusable } from './route.ts';
import type { Stage } from './stage.ts';
import { withProgress } from './stage.ts';

export const planEmbedding: Stage = async (job, context) => {
  const { store, router, settings, clock } = context;
  const waiting = await awaitBatch(job, context);
  if (waiting !== null) return waiting;
  const route = await routeOf('openai', job, context);
  if (route.use === null) return unusable('openai', route, job, clock.now());
  const { space, origin } = await router.embedService(route.use);
  const chunks = await bufferedChunks(store.db, job.job_id);
  if (chunks.length === 0) throw new TvdbError('E416', { message: 'The chunks of this document are gone' });
  const tokens = chunks.reduce((sum, chunk) => sum + chunk.token_count, 0);
  const { set, before, changed } = routeChange(job, 'openai', route);
  return {
    kind: 'move',
    to: 'embedding_queued',
    before,
    event: {
      code: 'EMBED_PLANNED',
      data: {
        space: space.name,
        origin,
        chunks: chunks.length,
        tokens,
        batches: Math.ceil(chunks.length / settings.EMBED_BATCH_SIZE),
      },
    },
    set: {
      ...set,
      embed_model: space.model,
      embed_version: space.version,
      embedding_space: space.name,
      embed_origin: origin,
      progress: withProgress(job, { embeds_total: chunks.length, embeds_done: 0 }),
    },
    ...(changed && { check: (trx) => requireSameDecision(trx, job) }),
    write: (trx) => keepOnlySpace(trx, job.job_id, space.name),
  };
};
