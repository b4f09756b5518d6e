/** LlamaCloud's files: `/api/v1/beta/files`. Files for parsing are kept for 48 hours. */
import type { Clock } from '../base/clock.ts';
import { sha256 } from '../base/hash.ts';
import type { Ids } from '../base/ids.ts';
import type { Answer, SimRequest } from './exchange.ts';
import { invalid, llamaRefusal } from './llama-errors.ts';
import { readForm, type UploadedFile } from './multipart.ts';
import { pageOf } from './paging.ts';
import { PROJECT_ID } from './parse-answer.ts';

export interface StoredFile {
  readonly id: string;
  readonly seq: number;
  readonly name: string;
  readonly purpose: string;
  readonly externalFileId: string | null;
  readonly createdAt: number;
  readonly bytes: Buffer;
  readonly sha256: string;
}

export interface Files {
  /** Keeps a file. */
  keep(file: UploadedFile, purpose: string, externalFileId: string | null): StoredFile;
  /** `undefined` when it never was there, was deleted, or is older than 48 hours. */
  get(id: string): StoredFile | undefined;
  create(request: SimRequest): Promise<Answer>;
  list(request: SimRequest): Answer;
  retrieve(request: SimRequest): Answer;
  remove(request: SimRequest): Answer;
  content(request: SimRequest): Answer;
  clear(): void;
}

export interface FilesParts {
  readonly clock: Clock;
  readonly ids: Ids;
  /** Milliseconds before a file shows up in lists. */
  readonly listDelay: number;
}

const KEPT_MS = 48 * 3_600_000;
const PURPOSES = ['parse', 'user_data', 'extract', 'split', 'classify', 'sheet', 'agent_app'];
/** The platform's limit (wire facts A7). */
const MOST_BYTES = 512 * 1024 * 1024;

/** No files yet. */
export function createFiles({ clock, ids, listDelay }: FilesParts): Files {
  const files = new Map<string, StoredFile>();
  let last = 0;

  const get = (id: string): StoredFile | undefined => {
    const file = files.get(id);
    return file !== undefined && clock.now() - file.createdAt < KEPT_MS ? file : undefined;
  };
  const wanted = ({ params: [id = ''] }: SimRequest): StoredFile => {
    const file = get(id);
    if (file === undefined) throw llamaRefusal(404, 'File not found');
    return file;
  };
  const keep: Files['keep'] = (file, purpose, externalFileId) => {
    last += 1;
    const { name, bytes } = file;
    const stored = {
      id: `dfl-${ids.uuid()}`,
      seq: last,
      name,
      purpose,
      externalFileId,
      createdAt: clock.now(),
      bytes,
      sha256: sha256(bytes),
    };
    files.set(stored.id, stored);
    return stored;
  };

  return {
    keep,
    get,
    async create(request) {
      const form = await readForm(request);
      const file = checkedUpload(form?.files.file);
      const purpose = form?.fields.purpose;
      if (purpose === undefined) throw invalid(['body', 'purpose'], 'Field required', null, 'missing');
      if (!PURPOSES.includes(purpose)) throw invalid(['body', 'purpose'], 'Value error, unknown purpose', purpose);
      const stored = keep(file, purpose, form?.fields.external_file_id ?? null);
      return { status: 201, body: fileJson(stored), accepted: [stored.id] };
    },
    list(request) {
      const { query } = request;
      const ids = query.getAll('file_ids');
      const [name, externalId] = [query.get('file_name'), query.get('external_file_id')];
      const found = [...files.values()]
        .reverse()
        .filter(
          (file) =>
            get(file.id) !== undefined &&
            clock.now() - file.createdAt >= listDelay &&
            (name === null || file.name === name) &&
            (externalId === null || file.externalFileId === externalId) &&
            (ids.length === 0 || ids.includes(file.id)),
        );
      return { status: 200, body: pageOf(found, request, fileJson) };
    },
    retrieve: (request) => ({ status: 200, body: fileJson(wanted(request)) }),
    remove(request) {
      files.delete(wanted(request).id);
      return { status: 204 };
    },
    content(request) {
      const file = wanted(request);
      const url = `http://${request.headers.host}/_content/${file.id}?signature=${sha256(file.id).slice(0, 32)}`;
      return {
        status: 200,
        body: { url, expires_at: new Date(clock.now() + 3_600_000).toISOString(), form_fields: null },
      };
    },
    clear: () => files.clear(),
  };
}

/** A file that may be kept; throws `Refused`. */
export function checkedUpload(file: UploadedFile | undefined): UploadedFile {
  if (file === undefined) throw llamaRefusal(400, 'The form has no part "file" with a file in it');
  if (file.name === '' || file.name === 'blob') throw llamaRefusal(400, 'The file has no name');
  if (file.bytes.length === 0) throw llamaRefusal(400, 'The file is empty');
  if (file.bytes.length > MOST_BYTES) throw llamaRefusal(413, 'The file is larger than 512 MB');
  return file;
}

function fileJson(file: StoredFile): Record<string, unknown> {
  return {
    id: file.id,
    name: file.name,
    project_id: PROJECT_ID,
    file_type: /\.(\w+)$/.exec(file.name)?.[1] ?? null,
    purpose: file.purpose,
    external_file_id: file.externalFileId,
    expires_at: file.purpose === 'parse' ? new Date(file.createdAt + KEPT_MS).toISOString() : null,
    last_modified_at: new Date(file.createdAt).toISOString(),
    download_url: null,
  };
}
