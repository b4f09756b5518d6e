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
  placeholder: 'name=mode',
  repeat: true,
  summary: 'use another mode for one service: llamaparse=mock, openai=real; may be repeated',
} as const;

/** The setting that holds the saved wish of a service. */
export const SERVICE_SETTINGS = {
  llamaparse: 'SERVICE_MODE_LLAMAPARSE',
  openai: 'SERVICE_MODE_OPENAI',
} as const satisfies Record<ServiceName, keyof Settings>;

/** The wishes of flags, then of settings. Throws E005 for a service or a mode that does not exist. */
export function serviceWishes(
  pairs: readonly { readonly key: string; readonly value: string }[],
  settings: Settings,
): Overrides {
  const wishes: Overrides = {};
  for (const service of SERVICES) {
    const saved = settings[SERVICE_SETTINGS[service]];
    if (saved !== undefined) wishes[service] = saved;
  }
  for (const { key, value } of pairs) wishes[oneOf(key, SERVICES, 'service')] = oneOf(value, SERVICE_MODES, 'mode');
  return wishes;
}

function oneOf<T extends ServiceName | ServiceMode>(text: string, allowed: readonly T[], what: string): T {
  const found = allowed.find((one) => one === text.toLowerCase());
  if (found !== undefined) return found;
  const near = closest(text, allowed);
  throw new TvdbError('E005', {
    message: `Unknown ${what} "${text}"${near === undefined ? '' : `. Did you mean "${near}"?`}`,
    why: `--service takes <service>=<mode>; a ${what} is one of ${allowed.join(', ')}`,
    facts: { flag: '--service', value: text },
  });
}
