/** The names of the endpoints, as faults and the log use them. */

export const OPERATIONS = [
  ...(['files.create', 'files.list', 'files.get', 'files.delete', 'files.content'] as const),
  ...(['parse.create', 'parse.get', 'parse.result', 'parse.list', 'parse.cancel', 'parse.delete'] as const),
  ...(['parse.versions', 'parse.extensions', 'parse.usage'] as const),
  ...(['embeddings', 'models.list', 'models.get'] as const),
  ...([
    'batch-files.create',
    'batch-files.list',
    'batch-files.get',
    'batch-files.content',
    'batch-files.delete',
  ] as const),
  ...(['batches.create', 'batches.list', 'batches.get', 'batches.cancel'] as const),
] as const;

export type Operation = (typeof OPERATIONS)[number];
