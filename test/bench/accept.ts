/** Accepting a file (hash, copy, type, walked pages, job) against reading, hashing and fsyncing a copy of it. Warm. */
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { systemIds } from '../../src/base/ids.ts';
import { loadConfig } from '../../src/config/load.ts';
import { stageDocument } from '../../src/pipeline/staging.ts';
import { acceptDocument } from '../../src/pipeline/upload.ts';
import { openWorld } from '../../src/world.ts';
import { type Bench, cleanEnv, median, ms, ratioLine } from './figures.ts';

const ROUNDS = 20;

/** Two documents of the repository, and one the size of a scanned brochure: the ratio falls with the size of the file. */
async function originals(root: string): Promise<[name: string, bytes: Buffer][]> {
  const { PDFDocument } = await import('@cantoo/pdf-lib');
  const brochure = await PDFDocument.create();
  for (let page = 0; page < 30; page++) brochure.addPage();
  brochure.context.register(brochure.context.stream(randomBytes(8_000_000)));
  const read = (name: string) => readFileSync(join(root, 'fixtures/documents', name));
  return [
    ['30 pages, text', read('benefits-guide.pdf')],
    ['180 pages, text', read('policy.pdf')],
    ['30 pages, images', Buffer.from(await brochure.save())],
  ];
}

export async function measure({ root, directory }: Bench): Promise<string[]> {
  const config = loadConfig({ env: cleanEnv(directory), cwd: directory });
  const world = await openWorld(config, { clock: systemClock, ids: systemIds, random: Math.random });
  const never = new AbortController().signal;
  const options = {
    runId: systemIds.uuid(),
    decision: world.router.decide('mock'),
    priority: 0,
    tags: {},
    costCenter: null,
    force: false,
    keepOld: false,
  };
  const lines: string[] = [];
  try {
    for (const [name, original] of await originals(root)) {
      const accept: number[] = [];
      const bare: number[] = [];
      for (let round = 0; round <= ROUNDS; round++) {
        // A comment behind the end makes another document of the same size.
        const path = join(directory, `${round}.pdf`);
        writeFileSync(path, Buffer.concat([original, Buffer.from(`\n% ${round}\n`)]));
        const bareMs = time(() => readHashSync(path, join(directory, 'copy')));
        const started = performance.now();
        const staged = await stageDocument(world.pipeline, { kind: 'file', path }, never);
        await acceptDocument(world.pipeline, staged, options, () => {});
        const acceptMs = performance.now() - started;
        if (round === 0) continue;
        accept.push(acceptMs);
        bare.push(bareMs);
      }
      const detail = `${ms(median(accept))} : ${ms(median(bare))}   ${name}, ${(original.length / 1000).toFixed(0)} kB; median of ${ROUNDS}`;
      lines.push(ratioLine('accept : read + SHA-256 + fsync', median(accept) / median(bare), 3, detail));
    }
  } finally {
    await world.close();
  }
  return lines;
}

function readHashSync(path: string, copy: string): string {
  const bytes = readFileSync(path);
  const hash = createHash('sha256').update(bytes).digest('hex');
  const file = openSync(copy, 'w');
  writeSync(file, bytes);
  fsyncSync(file);
  closeSync(file);
  return hash;
}

function time(work: () => unknown): number {
  const started = performance.now();
  work();
  return performance.now() - started;
}
