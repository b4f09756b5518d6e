/** The built `main` with commands that are long, large or slow: what tests start as a process of its own. */
import { pathToFileURL } from 'node:url';
import { main } from '../../dist/main.cjs';

const basics = {
  args: [],
  options: [],
  examples: [],
  needs: 'nothing',
  exitCodes: [0],
  json: 'tvdb.test/v1',
  ndjson: true,
  summary: '',
};

/** Never settles by itself; keeps the process alive as real work would. */
function untilAborted(signal) {
  return new Promise((_resolve, reject) => {
    const alive = setInterval(() => {}, 1000);
    signal.addEventListener('abort', () => {
      clearInterval(alive);
      reject(signal.reason);
    });
  });
}

async function spin(ctx, until) {
  ctx.ui.resumeWith('tvdb upload --resume run_1');
  const view = await ctx.ui.startProgress();
  view.tally('[ 0/40 done ]');
  for (let i = 0; i < 40; i += 1)
    view.item(String(i), {
      label: `a-rather-long-file-name-${i}.pdf`,
      status: 'run',
      step: 'parse',
      done: i,
      total: 40,
      detail: '18 pages',
    });
  view.log('started');
  if (until !== undefined) await untilAborted(until);
}

const commands = [
  { name: 'spin', handler: (_input, ctx) => spin(ctx, ctx.interrupt.stopping) },
  { name: 'stubborn', handler: (_input, ctx) => spin(ctx, new AbortController().signal) },
  {
    name: 'finish',
    async handler(_input, ctx) {
      await spin(ctx);
      return { data: {}, render: (page) => page.line('finished') };
    },
  },
  { name: 'big', handler: async () => ({ data: { text: 'x'.repeat(5_000_000), end: 'END' } }) },
  {
    name: 'rows',
    handler: async () => ({ data: {}, plain: () => Array.from({ length: 200_000 }, (_none, i) => [i, 'row']) }),
  },
  {
    name: 'stream',
    async handler(_input, ctx) {
      for (let i = 0; !ctx.interrupt.stopping.aborted; i += 1) await ctx.ui.record([i, 'row'], () => {});
      throw ctx.interrupt.stopping.reason;
    },
  },
  {
    name: 'page',
    async handler(_input, ctx) {
      ctx.ui.note((page) =>
        page.status('warn', 'a note that is rather long so that it has to wrap somewhere before it ends'),
      );
      const rows = Array.from({ length: 3 }, (_none, i) => [
        `a81f3c2${i}`,
        'complete',
        `policy-with-a-long-name-${i}-2024.pdf`,
        '$0.0910',
      ]);
      return {
        data: {},
        render(page) {
          page.heading('Documents');
          page.table({
            columns: [
              { head: 'JOB' },
              { head: 'STATUS' },
              { head: 'FILE', flex: true },
              { head: 'COST', align: 'right' },
            ],
            rows,
          });
          page.field('total', 'three documents, all of them complete and none of them wider than this terminal is');
        },
      };
    },
  },
  {
    name: 'ask',
    handler: async (_input, ctx) => ({
      data: { yes: await ctx.ui.confirm('Spend up to $0.0912?', { flag: '--yes' }) },
      render: (page) => page.line('answered'),
    }),
  },
].map((command) => ({ ...basics, ...command }));

const product = {
  commands,
  loadConfig: async () => ({}),
  openWorld: async () => ({}),
  completeIds: async () => [],
  // There are no keys here.
  scrubber: () => (text) => text,
};

if (import.meta.url === pathToFileURL(process.argv[1]).href)
  process.exitCode = await main(process.argv.slice(2), undefined, product);
