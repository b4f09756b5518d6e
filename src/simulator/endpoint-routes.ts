/** The table of endpoints of both services. */
import type { BatchEndpoints } from './batch-endpoints.ts';
import type { BatchFiles } from './batch-files.ts';
import type { EmbeddingsEndpoint } from './embeddings-endpoint.ts';
import type { Files } from './files-endpoints.ts';
import { getModel, listModels } from './models-endpoint.ts';
import type { Operation } from './operations.ts';
import type { ParseEndpoints } from './parse-endpoints.ts';
import { EXTENSIONS } from './parse-jobs.ts';
import type { Route } from './routes.ts';

const FILES = '/api/v1/beta/files';
const PARSE = '/api/v2/parse';

export interface Endpoints {
  readonly files: Files;
  readonly parse: ParseEndpoints;
  readonly embeddings: EmbeddingsEndpoint;
  readonly batchFiles: BatchFiles;
  readonly batches: BatchEndpoints;
}

/** Fixed paths stand before open ones. */
export function endpointRoutes({ files, parse, embeddings, batchFiles, batches }: Endpoints): Route[] {
  const llama = (method: string, path: string, operation: Route['operation'], handle: Route['handle']): Route => ({
    service: 'llama',
    method,
    path,
    operation,
    handle,
  });
  const openai = (method: string, path: string, operation: Operation, handle: Route['handle']): Route => ({
    service: 'openai',
    method,
    path: `/v1${path}`,
    operation,
    handle,
  });
  return [
    llama('POST', FILES, 'files.create', files.create),
    llama('GET', FILES, 'files.list', files.list),
    llama('GET', `${FILES}/:`, 'files.get', files.retrieve),
    llama('DELETE', `${FILES}/:`, 'files.delete', files.remove),
    llama('GET', `${FILES}/:/content`, 'files.content', files.content),
    llama('POST', PARSE, 'parse.create', parse.create),
    llama('POST', `${PARSE}/upload`, 'parse.create', parse.upload),
    llama('GET', PARSE, 'parse.list', parse.list),
    llama('GET', `${PARSE}/versions`, 'parse.versions', parse.versions),
    // A look with `expand` fetches content: it can fail where a bare one does not.
    llama('GET', `${PARSE}/:`, ({ query }) => (query.has('expand') ? 'parse.result' : 'parse.get'), parse.get),
    llama('POST', `${PARSE}/:/cancel`, 'parse.cancel', parse.cancel),
    llama('DELETE', `${PARSE}/:`, 'parse.delete', parse.remove),
    llama('GET', '/api/v1/parsing/supported_file_extensions', 'parse.extensions', () => ({
      status: 200,
      body: EXTENSIONS,
    })),
    llama('GET', '/api/v1/beta/usage-metrics', 'parse.usage', () => ({
      status: 200,
      body: { items: [], next_page_token: null, total_size: 0 },
    })),
    openai('POST', '/embeddings', 'embeddings', embeddings.create),
    openai('GET', '/models', 'models.list', listModels),
    openai('GET', '/models/:', 'models.get', getModel),
    openai('POST', '/files', 'batch-files.create', batchFiles.create),
    openai('GET', '/files', 'batch-files.list', batchFiles.list),
    openai('GET', '/files/:', 'batch-files.get', batchFiles.retrieve),
    openai('GET', '/files/:/content', 'batch-files.content', batchFiles.content),
    openai('DELETE', '/files/:', 'batch-files.delete', batchFiles.remove),
    openai('POST', '/batches', 'batches.create', batches.create),
    openai('GET', '/batches', 'batches.list', batches.list),
    openai('GET', '/batches/:', 'batches.get', batches.retrieve),
    openai('POST', '/batches/:/cancel', 'batches.cancel', batches.cancel),
  ];
}
