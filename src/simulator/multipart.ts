/** Multipart forms, read by Node's own parser. */
import type { SimRequest } from './exchange.ts';

export interface UploadedFile {
  readonly name: string;
  readonly type: string;
  readonly bytes: Buffer;
}

export interface Form {
  readonly fields: Readonly<Record<string, string>>;
  readonly files: Readonly<Record<string, UploadedFile>>;
}

/** The fields and files of a form, or `undefined` when the body is no well-formed form. */
export async function readForm({ headers, body }: SimRequest): Promise<Form | undefined> {
  const type = headers['content-type'] ?? '';
  if (!type.startsWith('multipart/form-data')) return undefined;
  const fields: Record<string, string> = {};
  const files: Record<string, UploadedFile> = {};
  try {
    const form = await new Response(body, { headers: { 'content-type': type } }).formData();
    for (const [name, value] of form) {
      if (typeof value === 'string') fields[name] = value;
      else files[name] = { name: value.name, type: value.type, bytes: Buffer.from(await value.arrayBuffer()) };
    }
    return { fields, files };
  } catch {
    return undefined;
  }
}
