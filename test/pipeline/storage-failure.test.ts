import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { tempDirectory } from '../setup/temp.ts';
import { pipeline } from './harness.ts';

describe('a storage that cannot be written', () => {
  it('T85 stops the worker, fails no job, and is gone on from when it is mended', async () => {
    const line = pipeline();
    await line.upload('one');
    await line.upload('two');
    const parsed = join(line.home, 'storage', 'parsed');
    const elsewhere = tempDirectory();
    rmSync(parsed, { recursive: true, force: true });
    symlinkSync(elsewhere, parsed);
    await expect(line.drain()).rejects.toMatchObject({ code: 'E104', message: expect.stringContaining(parsed) });
    const stopped = await line.jobs();
    expect(stopped.map(({ status, retry_count: tries }) => [/failed/.test(status), tries])).toEqual([
      [false, 0],
      [false, 0],
    ]);
    rmSync(parsed);
    mkdirSync(parsed, { mode: 0o700 });
    await line.drain();
    expect((await line.jobs()).map(({ status }) => status)).toEqual(['complete', 'complete']);
  });
});
