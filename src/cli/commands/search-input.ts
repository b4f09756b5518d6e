/** What a search is about: the query from standard input, the documents that its filters leave. */
import { TvdbError } from '../../base/errors.ts';
import { documentsWithTags } from '../../store/tagged.ts';
import type { World } from '../../world.ts';
import type { CommandContext } from '../command.ts';
import { resolveDocuments } from '../ids.ts';

/** Bytes of standard input that are looked at; a query is a sentence, not a file. */
const STDIN_BYTES = 65_536;

/** The query on standard input. Throws E008 when that is a terminal. */
export async function queryFromStdin({ stdin, interrupt }: CommandContext): Promise<string> {
  if (stdin.isTTY === true) {
    throw new TvdbError('E008', {
      message: 'Nothing is piped in to be searched for',
      fix: '',
      commands: ['echo "annual deductible" | tvdb search -'],
    });
  }
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of stdin) {
    interrupt.stopping.throwIfAborted();
    const bytes = typeof part === 'string' ? Buffer.from(part) : part;
    parts.push(bytes);
    size += bytes.length;
    if (size > STDIN_BYTES)
      throw new TvdbError('E003', {
        message: `The query on standard input is longer than ${STDIN_BYTES} bytes`,
        fix: 'Search for a sentence or two.',
      });
  }
  return Buffer.concat(parts).toString('utf8');
}

/** The documents that `--doc` and `--tag` leave; `undefined` when neither is given. */
export async function documentIds(
  { store }: World,
  query: string,
  { doc: docs, tag: tags }: { doc: readonly string[]; tag: readonly { key: string; value: string }[] },
): Promise<string[] | undefined> {
  if (docs.length === 0 && tags.length === 0) return undefined;
  const named =
    docs.length === 0 ? undefined : await resolveDocuments(store.db, docs, { command: ['search', query, '--doc'] });
  if (tags.length === 0) return named;
  const tagged = await documentsWithTags(store.db, tags);
  return named === undefined ? tagged : tagged.filter((id) => named.includes(id));
}
