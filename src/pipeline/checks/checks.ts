/** The function behind each row of the catalogue. */
import type { CheckId } from './catalogue.ts';
import type { Check } from './check.ts';
import * as configuration from './configuration.ts';
import * as content from './content.ts';
import { ledger } from './ledger.ts';
import * as paths from './paths.ts';
import * as providers from './providers.ts';
import * as runtime from './runtime.ts';
import * as store from './store.ts';
import * as webhook from './webhook.ts';

export const RUN: Readonly<Record<CheckId, Check>> = {
  node: runtime.node,
  tvdb: runtime.tvdb,
  sqlite: runtime.sqlite,
  'vector-search': runtime.vectorSearch,
  'pdf-reader': runtime.pdfReader,
  config: configuration.config,
  'env-files': configuration.envFiles,
  'env-shadow': configuration.envShadow,
  keys: configuration.keys,
  webhook: webhook.webhook,
  home: paths.home,
  'file-modes': paths.fileModes,
  'file-system': paths.fileSystem,
  'disk-space': paths.diskSpace,
  'temp-files': paths.tempFiles,
  store: store.store,
  pragmas: store.pragmas,
  'quick-check': store.quickCheck,
  integrity: store.integrity,
  'foreign-keys': store.foreignKeys,
  ledger,
  leases: store.leases,
  'raw-files': content.rawFiles,
  'parsed-files': content.parsedFiles,
  content: content.content,
  buffers: content.buffers,
  'orphan-files': content.orphanFiles,
  workers: store.workers,
  llamaparse: providers.llamaparse,
  openai: providers.openai,
};
