/**
 * Every setting of tvdb: its variable, its default, how its text is read, and one line of documentation.
 *
 * A variable that is not in this table cannot be read. `.env.tvdb001.example`, `tvdb config list` and
 * `tvdb help environment` are made from it, in its order, and a test holds the example file against it.
 */
import { MACHINE_VARIABLES } from './machine-variables.ts';
import { RUN_VARIABLES } from './run-variables.ts';
import { SERVICE_VARIABLES } from './service-variables.ts';
import type { Variable } from './variable.ts';

export const VARIABLES = { ...MACHINE_VARIABLES, ...SERVICE_VARIABLES, ...RUN_VARIABLES } as const;

export type VariableName = keyof typeof VARIABLES;

/** The value of each setting; `undefined` where it is unset and has no default. */
export type Settings = {
  readonly [Name in VariableName]: (typeof VARIABLES)[Name] extends Variable<infer T>
    ? (typeof VARIABLES)[Name]['default'] extends undefined
      ? T | undefined
      : T
    : never;
};
