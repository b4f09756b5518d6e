/** Every command, in the order of help. */
import type { CommandDefinition } from '../command.ts';
import { complete, completion } from './completion.ts';
import { costsCommand } from './costs.ts';
import { exportCommand } from './export.ts';
import { help } from './help.ts';
import { searchCommand } from './search.ts';
import { statusCommand } from './status.ts';
import { traceCommand } from './trace.ts';

export const COMMANDS: readonly CommandDefinition[] = [
  statusCommand,
  traceCommand,
  searchCommand,
  exportCommand,
  costsCommand,
  help,
  completion,
  complete,
];
