/**
 * Entry of the PDF child process (`dist/pdf-child.cjs`): the only place where the bytes of a document are interpreted.
 *
 * It takes one task at a time from its parent, and dies when nobody needs it: when the parent closes the channel or is
 * gone (the kernel closes it then), and after a short time without work.
 */
import { asTvdbError, TvdbError } from '../../base/errors.ts';
import { lockTransport } from '../transport-lock.ts';
import { extract } from './extract.ts';
import { inspect } from './inspect.ts';
import type { ChildMessage, ChildUsage, PdfTask, TaskMessage } from './messages.ts';

const idleMs = Number(process.argv[2]);

// Nothing here may talk to the network. The readers have no reason to; this makes it an error if one tries.
lockTransport();

function tell(message: ChildMessage): void {
  if (process.connected) process.send?.(message);
}

/** SIGKILL and not a clean end: a native reader may hold threads that are deep in a hostile file. */
function end(): void {
  process.kill(process.pid, 'SIGKILL');
}

function usage(): ChildUsage {
  const { user, system } = process.cpuUsage();
  return { rssBytes: process.memoryUsage.rss(), cpuMs: Math.round((user + system) / 1000) };
}

async function answer({ id, task }: TaskMessage): Promise<ChildMessage> {
  try {
    return { type: 'done', id, value: await perform(task), usage: usage() };
  } catch (thrown) {
    // A reader that runs out of memory it may allocate throws RangeError before the limits of the process are reached.
    const error =
      thrown instanceof RangeError
        ? new TvdbError('E414', {
            message: 'reading the PDF takes too much memory',
            why: thrown.message,
            facts: { limit: 'memory' },
          })
        : asTvdbError(thrown);
    const { code, message, why, facts } = error;
    return { type: 'refused', id, refusal: { code, message, why, facts }, usage: usage() };
  }
}

function perform(task: PdfTask): Promise<Extract<ChildMessage, { type: 'done' }>['value']> {
  return task.kind === 'inspect' ? inspect(task.path) : extract(task.path, task.pages);
}

// pdf.js leaves promises of a damaged file unhandled; the one that matters has been answered for.
process.on('unhandledRejection', () => undefined);

let idle = setTimeout(end, idleMs);
process.on('disconnect', end);
process.on('message', (message: TaskMessage) => {
  clearTimeout(idle);
  void answer(message).then((reply) => {
    tell(reply);
    idle = setTimeout(end, idleMs);
  });
});
tell({ type: 'ready' });
