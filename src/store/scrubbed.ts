/**
 * Takes secrets out of what the store keeps in words: messages of errors, notes, facts of events, ids that a service gave.
 * Here, under every statement, and not where errors are made: one place that forgets it would be enough. Document text is
 * not touched; it is the user's, and its hashes must stay true.
 */
import {
  ColumnNode,
  type ColumnUpdateNode,
  type InsertQueryNode,
  type KyselyPlugin,
  type OperationNode,
  type RootOperationNode,
  ValueNode,
  ValuesNode,
} from 'kysely';
import type { Scrub } from '../base/scrub.ts';

/** Columns that may repeat what a service said. Of a row that is hashed, none: it must not change behind its hash. */
const IN_WORDS: ReadonlySet<string> = new Set([
  'data',
  'error',
  'event_type',
  'file_id',
  'last_error',
  'note',
  'park_note',
  'remote_id',
  'remote_job_id',
  'upstream_request_id',
]);

/** Scrubs the values that the query builder writes into such columns. Raw SQL passes: it must not write stranger's words. */
export function scrubbed(scrub: Scrub): KyselyPlugin {
  return {
    transformQuery: ({ node }): RootOperationNode => {
      if (node.kind === 'UpdateQueryNode' && node.updates !== undefined)
        return { ...node, updates: updated(node.updates, scrub) };
      return node.kind === 'InsertQueryNode' ? inserted(node, scrub) : node;
    },
    transformResult: async ({ result }) => result,
  };
}

function inserted(node: InsertQueryNode, scrub: Scrub): InsertQueryNode {
  const { columns = [], values, onConflict } = node;
  const inWords = columns.map(isInWords);
  if (!inWords.includes(true) || values === undefined || !ValuesNode.is(values)) return node;
  const rows = values.values.map((row) =>
    row.kind === 'PrimitiveValueListNode'
      ? { ...row, values: row.values.map((value, at) => (inWords[at] ? clean(value, scrub) : value)) }
      : { ...row, values: row.values.map((value, at) => (inWords[at] ? cleanNode(value, scrub) : value)) },
  );
  return {
    ...node,
    values: ValuesNode.create(rows),
    ...(onConflict?.updates !== undefined && {
      onConflict: { ...onConflict, updates: updated(onConflict.updates, scrub) },
    }),
  };
}

function updated(updates: readonly ColumnUpdateNode[], scrub: Scrub): ColumnUpdateNode[] {
  return updates.map((update) =>
    isInWords(update.column) ? { ...update, value: cleanNode(update.value, scrub) } : update,
  );
}

function isInWords(node: OperationNode): boolean {
  return ColumnNode.is(node) && IN_WORDS.has(node.column.name);
}

function cleanNode(node: OperationNode, scrub: Scrub): OperationNode {
  return ValueNode.is(node) && node.immediate !== true ? ValueNode.create(clean(node.value, scrub)) : node;
}

function clean(value: unknown, scrub: Scrub): unknown {
  return typeof value === 'string' ? scrub(value) : value;
}
