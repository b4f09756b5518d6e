/** Runs one command: gives its handler the collaborators it declared and closes the world it opened. */
import { resolve } from 'node:path';
import type { Scrub } from '../base/scrub.ts';
import type { Config } from '../config/load.ts';
import type { ServiceName } from '../domain/service-mode.ts';
import type { World } from '../world.ts';
import type { CommandContext, CommandDefinition, CommandResult } from './command.ts';
import { readInput } from './input.ts';
import type { Interrupt } from './interrupt.ts';
import type { Io } from './io.ts';
import type { Plan } from './plan.ts';
import type { Product } from './product.ts';
import type { Screen } from './ui/screen.ts';
import type { Warning } from './ui/ui.ts';

export interface Stage {
  readonly argv: readonly string[];
  readonly io: Io;
  readonly product: Product;
  readonly interrupts: Interrupt;
  readonly screen: Screen;
  readonly scrub: Scrub;
}

/** Runs the handler of a command with its collaborators, and closes what it opened. */
export async function runCommand(
  plan: Plan,
  command: CommandDefinition,
  { argv, io, product, interrupts, screen, scrub }: Stage,
): Promise<CommandResult> {
  const opened: { world?: Promise<World> } = {};
  const needConfig = (): Config => {
    if (plan.config === undefined)
      throw new Error(`${command.name} reads the configuration but does not declare that it needs it`);
    return plan.config;
  };
  const context: CommandContext = {
    ui: screen.ui,
    get config() {
      return needConfig();
    },
    openWorld() {
      if (command.needs !== 'world')
        throw new Error(`${command.name} opens the world but does not declare that it needs it`);
      opened.world ??= product.openWorld(needConfig(), {
        clock: io.clock,
        ids: io.ids,
        random: io.random,
        logFile: logFile(plan),
        scrub,
        onKeySwitch: (service, fingerprint) => screen.ui.warn(keySwitched(service, fingerprint)),
      });
      return opened.world;
    },
    interrupt: interrupts,
    clock: io.clock,
    ids: io.ids,
    get stdin() {
      return io.stdin;
    },
    stdinIsTty: io.stdinIsTty,
    env: io.env,
    cwd: plan.cwd,
    globals: plan.globals,
    commands: product.commands,
    completeIds: (prefix) => product.completeIds(prefix, needConfig()),
  };
  const input = readInput(command, plan.raw, { argv, now: io.clock.now(), timezone: () => screen.ui.timezone });
  let onCrash: ((error: Error) => void) | undefined;
  // A promise nobody waited for ends in E900 like any other bug, instead of a bare stack.
  const crash = new Promise<never>((_resolve, reject) => {
    onCrash = reject;
    io.signals.on('uncaughtException', reject);
  });
  try {
    if (command.handler === undefined) throw new Error(`${command.name} has no handler`);
    return await Promise.race([command.handler(input, context), crash]);
  } finally {
    if (onCrash !== undefined) io.signals.off('uncaughtException', onCrash);
    await (await opened.world?.catch(() => undefined))?.close();
  }
}

function logFile({ globals, cwd }: Plan): string | undefined {
  return globals.logFile === undefined ? undefined : resolve(cwd, globals.logFile);
}

const KEYS: Readonly<Record<ServiceName, readonly [title: string, variable: string]>> = {
  llamaparse: ['LlamaParse', 'LLAMAPARSE_API_KEY'],
  openai: ['OpenAI', 'OPENAI_API_KEY'],
};

/** A key that stopped working unseen would be found out when the second one ends. */
function keySwitched(service: ServiceName, fingerprint: string): Warning {
  const [title, variable] = KEYS[service];
  const message = `${title} refused ${variable}; ${variable}_SECONDARY (fingerprint ${fingerprint}) is used. Put a valid key in its place`;
  return { code: 'TVDB-W112', message };
}
