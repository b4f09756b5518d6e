/** Flags that stand before the name of a command below theirs: `tvdb costs --today budget list`. */
import type { Command } from 'commander';
import { TvdbError } from '../base/errors.ts';
import { GLOBAL_OPTIONS } from './globals.ts';

/** Throws E001 for a flag of a command above the chosen one: it would be lost. Global flags may stand anywhere. */
export function refuseEarlyFlags(chosen: Command): void {
  for (let parser = chosen.parent; parser?.parent; parser = parser.parent) {
    const own = parser.options.filter(({ long }) => !GLOBAL_OPTIONS.some(({ name }) => long === `--${name}`));
    const early = own.find((option) => parser?.getOptionValueSource(option.attributeName()) === 'cli');
    if (early === undefined) continue;
    throw new TvdbError('E001', {
      message: `${early.long} is a flag of tvdb ${pathOf(parser)}, not of tvdb ${pathOf(chosen)}`,
      fix: 'Leave it out, or see which flags there are with --help.',
      facts: { command: pathOf(chosen), value: early.long ?? '' },
    });
  }
}

function pathOf(command: Command): string {
  const names: string[] = [];
  for (let one: Command | null = command; one?.parent; one = one.parent) names.unshift(one.name());
  return names.join(' ');
}
