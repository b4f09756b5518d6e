/** Starts a simulator for one test, with the official clients pointed at it. */
import LlamaCloud from '@llamaindex/llama-cloud';
import { http, passthrough } from 'msw';
import OpenAI from 'openai';
import { onTestFinished } from 'vitest';
import type { SimulatorOptions } from '../../src/simulator/options.ts';
import { type Simulator, startSimulator } from '../../src/simulator/simulator.ts';
import { network } from '../setup/intercepted.ts';
import { countingIds } from '../setup/seeded.ts';
import { type VirtualClock, virtualClock } from '../setup/virtual-clock.ts';

export const LLAMA_KEY = 'llx-simulated';
export const OPENAI_KEY = 'sk-simulated';

export interface Started extends Simulator {
  clock: VirtualClock;
  llama: LlamaCloud;
  openai: OpenAI;
}

/** Requests to this machine pass; all others stay forbidden. */
export function letThrough(): void {
  network.use(
    http.all('*', ({ request }) => (new URL(request.url).hostname === '127.0.0.1' ? passthrough() : undefined)),
  );
}

/** A simulator on a virtual clock; the clients never retry. */
export async function started(options: Partial<SimulatorOptions> = {}): Promise<Started> {
  letThrough();
  const clock = virtualClock();
  const simulator = await startSimulator({ clock, ids: countingIds(), ...options });
  onTestFinished(() => simulator.close());
  return {
    ...simulator,
    clock,
    llama: new LlamaCloud({ apiKey: LLAMA_KEY, baseURL: simulator.llamaUrl, maxRetries: 0 }),
    openai: new OpenAI({ apiKey: OPENAI_KEY, baseURL: simulator.openaiUrl, maxRetries: 0 }),
  };
}

/** Bytes that count as a PDF of so many pages; `salt` makes them another document. */
export function pdf(pages: number, salt = ''): Buffer {
  return Buffer.from(`%PDF-1.7 ${salt}\n${'<< /Type /Page >>\n'.repeat(pages)}%%EOF\n`);
}

/** Uploads a document and gives its file id. */
export async function uploaded(llama: LlamaCloud, pages = 2, salt = ''): Promise<string> {
  const file = new File([pdf(pages, salt)], 'letter.pdf', { type: 'application/pdf' });
  return (await llama.files.create({ file, purpose: 'parse', external_file_id: `sha-${pages}${salt}` })).id;
}

/** The body of an answer, for tests that look into bodies of many shapes. */
// biome-ignore lint/suspicious/noExplicitAny: the point of it
export async function bodyOf(answer: Response): Promise<any> {
  return answer.json();
}
