/** Every command, in the order of help. */
import type { CommandDefinition } from '../command.ts';
import { complete, completion } from './completion.ts';
import { help } from './help.ts';

export const COMMANDS: readonly CommandDefinition[] = [help, completion, complete];
