/** Reads the tables of docs/JSON_OUTPUT.md and compares values with them. */

/** A row of a table. */
export interface Field {
  /** Where it is written: `job: error`. Several tables may have it, through a shared object. */
  readonly id: string;
  /** `jobs[].status`; `by_status.<job status>` stands for each member of a closed list. */
  readonly path: string;
  /** Marked with `*`: not in every situation. */
  readonly sometimes: boolean;
  readonly nullable: boolean;
  readonly list: boolean;
  /** `string`, `id`, ...; a value of `values`; `object`. */
  readonly kind: string;
  readonly values: readonly string[] | null;
}

/** Fields by path. */
export type Table = ReadonlyMap<string, Field>;

export interface Page {
  /** By heading: `tvdb.status/v1`, `stage: run`. */
  readonly tables: ReadonlyMap<string, Table>;
  readonly lists: ReadonlyMap<string, readonly string[]>;
  /** Complete samples of `data`, or of the envelope or the error, by heading. */
  readonly samples: ReadonlyMap<string, string>;
}

interface Row {
  readonly path: string;
  readonly sometimes: boolean;
  readonly type: string;
}

/** Parses the page. Throws for a type that is not known. */
export function readPage(text: string): Page {
  const sections = text.split(/^#{2,3} /m).slice(1);
  const bodies = new Map(sections.map((part) => [part.slice(0, part.indexOf('\n')), part] as const));
  const lists = new Map<string, string[]>();
  for (const [, name = '', members = ''] of (bodies.get('Closed lists') ?? '').matchAll(
    /^\| ([a-z ]+) \| (`.*) \|$/gm,
  )) {
    lists.set(name, quoted(members));
  }
  const rows = new Map([...bodies].map(([heading, body]) => [heading, rowsOf(body)] as const));
  const tables = new Map<string, Table>();
  const samples = new Map<string, string>();
  for (const [heading, body] of bodies) {
    tables.set(heading, new Map(expanded(heading, rows, lists).map((field) => [field.path, field])));
    const sample = /```json\n(.*?)```/s.exec(body)?.[1];
    if (sample !== undefined) samples.set(heading, sample);
  }
  return { tables, lists, samples };
}

function rowsOf(body: string): Row[] {
  return [...body.matchAll(/^\| `([^`]+)`( \*)? \| ([^|]+) \| .*\|$/gm)].map(([, path = '', mark, type = '']) => ({
    path,
    sometimes: mark !== undefined,
    type,
  }));
}

/** Rows with the fields of shared objects in their place. */
function expanded(heading: string, all: ReadonlyMap<string, Row[]>, lists: Page['lists']): Field[] {
  return (all.get(heading) ?? []).flatMap((row) => {
    const { path } = row;
    const field = { id: `${heading}: ${path}`, ...typeOf(row, lists) };
    const shape = /\[(.+)\]\(#(shared-objects|error-object)\)/.exec(row.type);
    if (shape === null) return [field];
    const fields = expanded(shape[2] === 'error-object' ? 'Error object' : (shape[1] ?? ''), all, lists);
    if (fields.length === 0) throw new Error(`there is no shared object "${shape[1]}"`);
    if (path === '...') return fields;
    const prefix = `${path}${field.list ? '[]' : ''}.`;
    return [field, ...fields.map((inner) => ({ ...inner, path: `${prefix}${inner.path}` }))];
  });
}

const KINDS = ['any', 'string', 'integer', 'number', 'boolean', 'object', 'id', 'time'];

function typeOf({ path, sometimes, type }: Row, lists: Page['lists']): Omit<Field, 'id'> {
  const word = type.replace(/ or null$/, '').replace(/^list of /, '');
  const base = { path, sometimes, nullable: type.endsWith(' or null'), list: type.startsWith('list of ') };
  if (word.startsWith('`')) return { ...base, kind: 'member', values: quoted(word) };
  const linked = /^\[(.+)\]\(#(.+)\)$/.exec(word);
  if (linked === null && KINDS.includes(word)) return { ...base, kind: word, values: null };
  const values = lists.get(linked?.[1] ?? '');
  if (linked?.[2] === 'closed-lists' && values !== undefined) return { ...base, kind: 'member', values };
  if (linked?.[2] === 'shared-objects' || linked?.[2] === 'error-object')
    return { ...base, kind: 'object', values: null };
  throw new Error(`${path}: there is no type "${type}"`);
}

function quoted(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, value = '']) => value);
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

const FITS: Readonly<Record<string, (value: unknown) => boolean>> = {
  any: () => true,
  string: (value) => typeof value === 'string',
  integer: Number.isSafeInteger,
  number: Number.isFinite,
  boolean: (value) => typeof value === 'boolean',
  object: (value) => value !== null && typeof value === 'object' && !Array.isArray(value),
  id: (value) => typeof value === 'string' && UUID.test(value),
  time: (value) => typeof value === 'string' && RFC_3339.test(value),
};

export interface Comparison {
  /** Ids of the fields met. */
  readonly met: Set<string>;
  readonly problems: string[];
}

/** Compares an object with a table: every key is described, every field without `*` is there, every value is of its type. */
export function compare(value: object, table: Table, { met, problems }: Comparison): void {
  const within = (object: object, at: string) => {
    const prefix = at === '' ? '' : `${at}.`;
    const children = [...table.values()].filter(
      ({ path }) => path.startsWith(prefix) && !/[.[]/.test(path.slice(prefix.length)),
    );
    for (const { path, sometimes } of children) {
      if (!sometimes && !(path.slice(prefix.length) in object)) problems.push(`${path} is missing`);
    }
    const wildcard = children.find(({ path }) => path.slice(prefix.length).startsWith('<'));
    for (const [key, inner] of Object.entries(object)) {
      const field = table.get(`${prefix}${key}`) ?? wildcard;
      if (field === undefined) problems.push(`${prefix}${key} is not described`);
      else {
        met.add(field.id);
        check(inner, field);
      }
    }
  };
  const check = (inner: unknown, { path, nullable, list, kind, values }: Field) => {
    const one = (item: unknown, at: string) => {
      const fits = values === null ? FITS[kind]?.(item) : values.includes(String(item));
      if (fits !== true)
        problems.push(`${at} is ${JSON.stringify(item)?.slice(0, 60)}, not ${values?.join(', ') ?? kind}`);
      else if (kind === 'object') within(item as object, at);
    };
    if (inner === null) {
      if (!nullable && kind !== 'any') problems.push(`${path} is null`);
    } else if (!list) one(inner, path);
    else if (Array.isArray(inner)) for (const item of inner) one(item, `${path}[]`);
    else problems.push(`${path} is no list`);
  };
  within(value, '');
}
