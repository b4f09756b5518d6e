/** Which stage moves a job on from each status. */
import type { ActiveStatus } from '../domain/job-state.ts';
import { chunkMarkdown, startChunking } from './chunk.ts';
import { collectParse } from './collect-parse.ts';
import { continueEmbedding, startEmbedding } from './embed.ts';
import { finalize } from './finalize.ts';
import { planEmbedding } from './plan-embedding.ts';
import type { Stage } from './stage.ts';
import { submitParse } from './submit-parse.ts';
import { validateParse } from './validate-parse.ts';

export const STAGES: Readonly<Record<ActiveStatus, Stage>> = {
  uploaded: submitParse,
  parse_queued: collectParse,
  parsed: validateParse,
  parse_validated: startChunking,
  chunking: chunkMarkdown,
  chunks_stored: planEmbedding,
  embedding_queued: startEmbedding,
  embedding_in_progress: continueEmbedding,
  embeddings_stored: finalize,
};
