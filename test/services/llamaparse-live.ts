/** The contract of a parse service over a LlamaParse that is reached by address and key: the real one, or a simulator. */
import { createHash, randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ParseRequest } from '../../src/services/parse/port.ts';
import { parseContract } from '../contract/parse.ts';
import { tempDirectory } from '../setup/temp.ts';
import { clientOf } from './llamaparse-harness.ts';
import { flat, rawPdf } from './pdf-harness.ts';

export interface LiveTarget {
  baseUrl: string;
  key: string;
  /** Before each request: the free plan allows 20 a minute. */
  spacingMs: number;
  close(): Promise<void>;
}

/**
 * Every document of the lane has one page and goes to the cheapest tier: 1 credit a parse, and each test makes at most
 * one. The pages are the most the service may process.
 */
export const LIVE_CAP = { tier: 'fast', version: '2026-06-15', pages: 1 } as const;

/** Runs the contract over the service `open` connects to; it is opened anew for each test. */
export function liveLane(name: string, open: () => Promise<LiveTarget>): void {
  const run = `${randomUUID()}-`;
  parseContract(name, async () => {
    const target = await open();
    const { service } = clientOf({
      baseUrl: target.baseUrl,
      keys: [target.key],
      tier: LIVE_CAP.tier,
      version: LIVE_CAP.version,
      files: new Map(),
      spacingMs: target.spacingMs,
    });
    const start = Date.now();
    return {
      service,
      document: requestOf(rawPdf(flat(['apricot']))),
      words: ['apricot'],
      unreadable: requestOf(Buffer.from('%PDF-1.7\nnothing of use')),
      waitMs: 0,
      run,
      unknownId: 'pjb-00000000-0000-4000-8000-000000000000',
      window: { from: start - 120_000, to: start + 900_000 },
      dispose: () => target.close(),
    };
  });
}

function requestOf(bytes: Uint8Array): ParseRequest {
  const path = join(tempDirectory(), 'page.pdf');
  writeFileSync(path, bytes);
  const fileSha256 = createHash('sha256').update(bytes).digest('hex');
  return { documentId: 'live-lane', path, fileSha256, mime: 'application/pdf', pages: LIVE_CAP.pages };
}
