/** A working directory whose `tvdb` pays a simulator of its own. */
import { onTestFinished } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { SimulatorOptions } from '../../src/simulator/options.ts';
import { startSimulator } from '../../src/simulator/simulator.ts';
import { openStore } from '../../src/store/open.ts';
import type { RunOptions } from '../setup/run-tvdb.ts';
import { LLAMA_KEY, letThrough, OPENAI_KEY } from '../simulator/start.ts';
import { workplace } from './workplace.ts';

/** Short waits, so that a test takes no longer than its work. */
const SHORT = {
  POLL_FIRST: '20ms',
  POLL_CAP: '50ms',
  POLL_INTERVAL: '20ms',
  RETRY_BASE: '1ms',
  RETRY_CAP: '5ms',
  EMBED_LINGER: '0ms',
};

/** `env` is given to every run; a variable that is `undefined` is left out. */
export async function moneyPlace(
  files: Record<string, string | Buffer> = {},
  options: Partial<SimulatorOptions> = {},
  env: Record<string, string | undefined> = {},
) {
  letThrough();
  const simulator = await startSimulator({ clock: systemClock, ...options });
  onTestFinished(() => simulator.close());
  const place = workplace(files);
  const services = {
    LLAMA_CLOUD_BASE_URL: simulator.llamaUrl,
    OPENAI_BASE_URL: simulator.openaiUrl,
    LLAMAPARSE_API_KEY: LLAMA_KEY,
    OPENAI_API_KEY: OPENAI_KEY,
    ...SHORT,
    ...env,
  };
  const withEnv = ({ env: own, ...rest }: RunOptions = {}): RunOptions => ({ ...rest, env: { ...services, ...own } });
  const store = () => {
    const opened = openStore({ home: `${place.home}/data/tvdb` });
    onTestFinished(() => opened.close());
    return opened;
  };
  return {
    ...place,
    simulator,
    store,
    tvdb: (argv: readonly string[], run?: RunOptions) => place.tvdb(argv, withEnv(run)),
    json: (argv: readonly string[], run?: RunOptions) => place.json(argv, withEnv(run)),
  };
}
