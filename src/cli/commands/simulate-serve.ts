/** Starts the simulator for `tvdb simulate`, prints where it is, and waits to be stopped. */
import { TvdbError } from '../../base/errors.ts';
import { FaultSyntaxError, parseDuration } from '../../simulator/fault-syntax.ts';
import type { Latency } from '../../simulator/options.ts';
import { type Simulator, startSimulator } from '../../simulator/simulator.ts';
import type { CommandContext, CommandResult } from '../command.ts';
import { simulatorReader } from './simulate-pages.ts';
import { billResult, startResult } from './simulate-view.ts';

export interface SimulateFlags {
  readonly port: number;
  /** As typed. */
  readonly faults: string;
  readonly latency: string;
  /** Absolute. */
  readonly logFile: string | undefined;
  readonly seed: number;
  readonly lagging: boolean;
  readonly freeTier: boolean;
}

/** Serves until Ctrl-C. Throws E003 for a text that is not understood, E601 for a port that is taken. */
export async function serve(ctx: CommandContext, flags: SimulateFlags): Promise<CommandResult> {
  const { clock, ids, interrupt, ui } = ctx;
  const latency = readLatency(flags.latency);
  const reader = simulatorReader(ctx.config, clock);
  let simulator: Simulator | undefined;
  try {
    simulator = await understood(
      startSimulator({
        clock,
        ids,
        port: flags.port,
        faults: flags.faults,
        latency,
        seed: flags.seed,
        lagging: flags.lagging,
        pagesOf: reader.pagesOf,
        ...(flags.logFile !== undefined && { logFile: flags.logFile }),
        ...(flags.freeTier && { limits: { llamaRequests: 20 } }),
      }),
      flags.faults,
    );
    await ui.answer(startResult(simulator, latency, flags));
    await stopped(interrupt.stopping);
    ui.note((page) => billResult(page, simulator));
    return { data: {} };
  } finally {
    await simulator?.close();
    await reader.close();
  }
}

/** `parse=2s,page=150ms,embed=150ms,batch=10s`; what is not named keeps its default. */
function readLatency(text: string): Latency {
  const latency: Latency = { parse: 2_000, page: 150, embed: 150, batch: 10_000 };
  for (const part of text.split(',').filter((one) => one.trim() !== '')) {
    const [name = '', value = ''] = part.trim().split('=');
    const ms = parseDuration(value);
    if (!(name in latency) || ms === undefined) {
      throw new TvdbError('E003', {
        message: `--latency has the form parse=2s,page=150ms,embed=150ms,batch=10s, and "${part.trim()}" is no part of such`,
        facts: { flag: '--latency', value: text },
      });
    }
    latency[name as keyof Latency] = ms;
  }
  return latency;
}

async function understood(starting: Promise<Simulator>, text: string): Promise<Simulator> {
  try {
    return await starting;
  } catch (error) {
    if (!(error instanceof FaultSyntaxError)) throw error;
    throw new TvdbError('E003', {
      message: `--faults is not understood: ${error.message}`,
      fix: 'See `tvdb help simulate`.',
      facts: { flag: '--faults', value: text },
    });
  }
}

function stopped(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
