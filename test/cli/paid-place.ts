/** A workplace whose paid services are a simulator of its own on this machine, in real time without waiting. */
import { onTestFinished } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { LoggedRequest } from '../../src/simulator/request-log.ts';
import { startSimulator } from '../../src/simulator/simulator.ts';
import { letThrough } from '../simulator/start.ts';
import { letter, workplace } from './workplace.ts';

export const LLAMA_KEY = 'llx-simulated-0123456789';
export const OPENAI_KEY = 'sk-simulated-0123456789';

/** `env` is what the runs need to find the simulator; give it to each of them. */
export async function paidPlace({ faults = '', files = { 'letter.pdf': letter } as Record<string, string> } = {}) {
  letThrough();
  const simulator = await startSimulator({ clock: systemClock, faults });
  onTestFinished(() => simulator.close());
  const place = workplace(files);
  const env: Record<string, string> = {
    LLAMA_CLOUD_BASE_URL: simulator.llamaUrl,
    OPENAI_BASE_URL: simulator.openaiUrl,
    LLAMAPARSE_API_KEY: LLAMA_KEY,
    OPENAI_API_KEY: OPENAI_KEY,
    LLAMAPARSE_REQUESTS_PER_MINUTE: '100000',
    POLL_FIRST: '1ms',
    POLL_CAP: '20ms',
    RETRY_BASE: '1ms',
    RETRY_CAP: '2ms',
    EMBED_LINGER: '0ms',
  };
  const sent = (operation: string): LoggedRequest[] => simulator.log().filter((one) => one.operation === operation);
  return { ...place, simulator, env, sent };
}
