/** The whole pipeline over 720 pages in one invocation, against bare extraction of the same files with the same options. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Bench, median, ms, ratioLine, timeProcess } from './figures.ts';

const ROUNDS = 3;
const COPIES = 4;
const PAGES = 180 * COPIES;

/** What the mock parser asks of liteparse (`services/pdf/pdfium.ts`), in one process, one file after the other. */
const BARE = `
const { LiteParse } = await import('@llamaindex/liteparse');
const parser = new LiteParse({ ocrEnabled: false, outputFormat: 'markdown', imageMode: 'off', quiet: true, keepHeadersFooters: true, numWorkers: 1 });
let pages = 0;
for (const path of process.argv.slice(1)) pages += (await parser.parse(path)).pages.length;
if (pages !== ${PAGES}) throw new Error('read ' + pages + ' pages');
`;

export async function measure({ root, directory }: Bench): Promise<string[]> {
  const original = readFileSync(join(root, 'fixtures/documents/policy.pdf'));
  const whole: number[] = [];
  const bare: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const folder = join(directory, String(round));
    mkdirSync(folder);
    const paths = Array.from({ length: COPIES }, (_, index) => join(folder, `${index}.pdf`));
    for (const [index, path] of paths.entries())
      writeFileSync(path, Buffer.concat([original, Buffer.from(`\n% ${round} ${index}\n`)]));
    bare.push(
      timeProcess(
        [
          '--input-type=module',
          '-e',
          BARE.replace(
            "'@llamaindex/liteparse'",
            JSON.stringify(join(root, 'node_modules/@llamaindex/liteparse/dist/lib.js')),
          ),
          ...paths,
        ],
        directory,
      ),
    );
    whole.push(timeProcess([join(root, 'bin/tvdb.js'), 'upload', ...paths], directory));
  }
  const detail = `${ms(median(whole))} : ${ms(median(bare))}   ${PAGES} pages in ${COPIES} files, ${((PAGES / median(whole)) * 1000).toFixed(0)} pages/s`;
  return [ratioLine('pipeline : bare extraction', median(whole) / median(bare), 1.6, detail)];
}
