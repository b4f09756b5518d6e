/** OpenAI's files, as far as batches need them: JSONL in, JSONL out. */
import type { Clock } from '../base/clock.ts';
import type { Ids } from '../base/ids.ts';
import type { Answer, Refused, SimRequest } from './exchange.ts';
import { readForm } from './multipart.ts';
import { openaiRefusal } from './openai-errors.ts';

export interface BatchFile {
  readonly id: string;
  readonly name: string;
  readonly purpose: 'batch' | 'batch_output';
  readonly createdAt: number;
  /** Outputs are written when somebody reads them: a batch of 50,000 vectors is 400 MB. */
  readonly text: () => string;
}

export interface BatchFiles {
  get(id: string): BatchFile | undefined;
  keep(name: string, purpose: BatchFile['purpose'], text: () => string): BatchFile;
  create(request: SimRequest): Promise<Answer>;
  list(): Answer;
  retrieve(request: SimRequest): Answer;
  content(request: SimRequest): Answer;
  remove(request: SimRequest): Answer;
  clear(): void;
}

const MOST_BYTES = 200 * 1024 * 1024;

/** No files yet. */
export function createBatchFiles(clock: Clock, ids: Ids): BatchFiles {
  const files = new Map<string, BatchFile>();
  const wanted = ({ params: [id = ''] }: SimRequest): BatchFile => {
    const file = files.get(id);
    if (file === undefined) throw openaiRefusal(404, `No such File object: ${id}`, { param: 'id' });
    return file;
  };
  const keep: BatchFiles['keep'] = (name, purpose, text) => {
    const id = `file-${ids.uuid().replaceAll('-', '')}`;
    const file = { id, name, purpose, createdAt: clock.now(), text };
    files.set(id, file);
    return file;
  };
  return {
    get: (id) => files.get(id),
    keep,
    async create(request) {
      const form = await readForm(request);
      const file = form?.files.file;
      if (file === undefined) throw openaiRefusal(400, "'file' is a required property", { param: 'file' });
      if (form?.fields.purpose !== 'batch') {
        throw openaiRefusal(
          400,
          `'${form?.fields.purpose ?? ''}' is not a purpose of this simulator, which has 'batch'`,
          {
            param: 'purpose',
          },
        );
      }
      if (file.bytes.length > MOST_BYTES) throw tooLarge();
      const text = file.bytes.toString('utf8');
      const kept = keep(file.name, 'batch', () => text);
      return { status: 200, body: fileJson(kept), accepted: [kept.id] };
    },
    list: () => ({
      status: 200,
      body: { object: 'list', data: [...files.values()].reverse().map(fileJson), has_more: false },
    }),
    retrieve: (request) => ({ status: 200, body: fileJson(wanted(request)) }),
    content: (request) => ({
      status: 200,
      headers: { 'content-type': 'application/octet-stream' },
      body: Buffer.from(wanted(request).text()),
    }),
    remove(request) {
      const { id } = wanted(request);
      files.delete(id);
      return { status: 200, body: { id, object: 'file', deleted: true } };
    },
    clear: () => files.clear(),
  };
}

function tooLarge(): Refused {
  return openaiRefusal(413, 'The file is larger than 200 MB', { param: 'file' });
}

function fileJson({ id, name, purpose, createdAt, text }: BatchFile): Record<string, unknown> {
  return {
    id,
    object: 'file',
    // The size of an output is not known before it is written, and nobody needs it.
    bytes: purpose === 'batch' ? Buffer.byteLength(text()) : 0,
    created_at: Math.floor(createdAt / 1000),
    filename: name,
    purpose,
    status: 'processed',
    expires_at: null,
    status_details: null,
  };
}
