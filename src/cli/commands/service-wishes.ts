/** `--service <name>=<mode>`: what is wanted of single services, over what the settings say. */
import { TvdbError } from '../../base/errors.ts';
import type { Settings } from '../../config/variables.ts';
import { SERVICE_MODES, SERVICES, type ServiceMode, type ServiceName } from '../../domain/service-mode.ts';
import type { Overrides } from '../../services/router.ts';
import { closest } from '../suggest.ts';

/** The flag, for every command that makes or changes jobs. */
export const SERVICE_OPTION = {
  name: 'service',
  value: 'pair',
  valueName: 'name=mode',
  repeat: true,
  summary: 'use another mode for one service: llamaparse=mock, openai=real; may be repeated',
} as const;

/** The same flag where it saves: `default` removes what is saved. */
export const MODE_SERVICE_OPTION = {
  ...SERVICE_OPTION,
  summary: 'the mode of one service: llamaparse=mock, openai=real; =default forgets it; may be repeated',
} as const;

/** The setting that holds the saved wish of a service. */
export const SERVICE_SETTINGS = {
  llamaparse: 'SERVICE_MODE_LLAMAPARSE',
  openai: 'SERVICE_MODE_OPENAI',
} as const satisfies Record<ServiceName, keyof Settings>;

/** `--service` as given. */
export type Pairs = readonly { readonly key: string; readonly value: string }[];

/** What a pair asks for: a mode, or that the service follows the general mode again. */
export type Wish = ServiceMode | 'default';

/** The wishes of flags, then of settings. Throws E005 for a service or a mode that does not exist. */
export function serviceWishes(pairs: Pairs, settings: Settings): Overrides {
  const wishes: Overrides = {};
  for (const service of SERVICES) {
    const saved = settings[SERVICE_SETTINGS[service]];
    if (saved !== undefined) wishes[service] = saved;
  }
  for (const [service, mode] of readPairs(pairs, SERVICE_MODES)) wishes[service] = mode;
  return wishes;
}

/** The wishes of flags alone, the last one for a service counts; `default` is allowed. Throws E005 like `serviceWishes`. */
export function wishesToKeep(pairs: Pairs): ReadonlyMap<ServiceName, Wish> {
  return readPairs(pairs, [...SERVICE_MODES, 'default']);
}

function readPairs<T extends Wish>(pairs: Pairs, modes: readonly T[]): Map<ServiceName, T> {
  return new Map(pairs.map(({ key, value }) => [oneOf(key, SERVICES, 'service'), oneOf(value, modes, 'mode')]));
}

function oneOf<T extends string>(text: string, allowed: readonly T[], what: string): T {
  const found = allowed.find((one) => one === text.toLowerCase());
  if (found !== undefined) return found;
  const near = closest(text, allowed);
  throw new TvdbError('E005', {
    message: `Unknown ${what} "${text}".${near === undefined ? '' : ` Did you mean "${near}"?`}`,
    why: `--service takes <service>=<mode>; a ${what} is one of ${allowed.join(', ')}`,
    fix: near === undefined ? `use one of ${allowed.join(', ')}` : `use ${near}`,
    facts: { flag: '--service', value: text, choices: [...allowed], ...(near !== undefined && { suggestion: near }) },
  });
}
