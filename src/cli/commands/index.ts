/** Every command, in the order of help. */
import type { CommandDefinition } from '../command.ts';
import { cancelCommand } from './cancel.ts';
import { complete, completion } from './completion.ts';
import { configGroup, configListCommand } from './config-list.ts';
import { costsCommand } from './costs.ts';
import { costsAcknowledgeCommand } from './costs-acknowledge.ts';
import {
  costsBudgetGroup,
  costsBudgetListCommand,
  costsBudgetRemoveCommand,
  costsBudgetSetCommand,
} from './costs-budget.ts';
import { costsEstimateCommand } from './costs-estimate.ts';
import { costsHoldsCommand, costsHoldsReleaseCommand } from './costs-holds.ts';
import { costsReconcileCommand } from './costs-reconcile.ts';
import { costsVerifyCommand } from './costs-verify.ts';
import { deleteCommand } from './delete.ts';
import { doctorCommand } from './doctor.ts';
import { exportCommand } from './export.ts';
import { healthCommand } from './health.ts';
import { help } from './help.ts';
import { modeCommand } from './mode.ts';
import { retryCommand } from './retry.ts';
import { runCommand } from './run.ts';
import { searchCommand } from './search.ts';
import { serveCommand } from './serve.ts';
import { simulateCommand } from './simulate.ts';
import { smokeCommand } from './smoke.ts';
import { statusCommand } from './status.ts';
import { traceCommand } from './trace.ts';
import { uploadCommand } from './upload.ts';
import { versionCommand } from './version.ts';

export const COMMANDS: readonly CommandDefinition[] = [
  uploadCommand,
  runCommand,
  serveCommand,
  retryCommand,
  cancelCommand,
  statusCommand,
  traceCommand,
  searchCommand,
  exportCommand,
  costsCommand,
  costsEstimateCommand,
  costsBudgetGroup,
  costsBudgetListCommand,
  costsBudgetSetCommand,
  costsBudgetRemoveCommand,
  costsHoldsCommand,
  costsHoldsReleaseCommand,
  costsAcknowledgeCommand,
  costsReconcileCommand,
  costsVerifyCommand,
  healthCommand,
  modeCommand,
  configGroup,
  configListCommand,
  deleteCommand,
  doctorCommand,
  smokeCommand,
  simulateCommand,
  help,
  completion,
  complete,
  versionCommand,
];
