/** What `main` is made of besides the terminal: the commands and the ways to load the rest, each only when it is needed. */
import { createScrubber, type Scrub } from '../base/scrub.ts';
import type { Config, LoadOptions } from '../config/load.ts';
import type { World, WorldDeps } from '../world.ts';
import type { CommandDefinition, IdSuggestion } from './command.ts';
import { COMMANDS } from './commands/index.ts';

export interface Product {
  readonly commands: readonly CommandDefinition[];
  loadConfig(options: LoadOptions): Promise<Config>;
  /** The same for commands that show what is wrong with it: never throws for a bad setting or file. */
  inspectConfig(options: LoadOptions): Promise<Config>;
  /** What takes the keys out of everything that is written. */
  scrubber(secrets: readonly string[]): Scrub;
  openWorld(config: Config, deps: WorldDeps): Promise<World>;
  /** Ids of the local store that begin with `prefix`, for completion. Must not create a store. */
  completeIds(prefix: string, config: Config): Promise<readonly IdSuggestion[]>;
}

/** The tool as it ships. */
export const PRODUCT: Product = {
  commands: COMMANDS,
  loadConfig: async (options) => (await import('../config/load.ts')).loadConfig(options),
  inspectConfig: async (options) => (await import('../config/load.ts')).inspectConfig(options),
  scrubber: createScrubber,
  openWorld: async (config, deps) => (await import('../world.ts')).openWorld(config, deps),
  completeIds: async (prefix, config) => (await import('./complete-ids.ts')).completeIds(prefix, config),
};
