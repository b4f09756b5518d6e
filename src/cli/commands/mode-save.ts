/** Saves the mode and the wishes for single services as defaults, and records the change of the mode. */
import { basename, dirname } from 'node:path';
import { TvdbError } from '../../base/errors.ts';
import type { Config } from '../../config/load.ts';
import { readPreferences, savePreference } from '../../config/preferences.ts';
import { SERVICE_MODES, SERVICES, type ServiceMode, type ServiceName } from '../../domain/service-mode.ts';
import type { Overrides } from '../../services/router.ts';
import { recordModeChange } from '../../store/mode-changes.ts';
import type { World } from '../../world.ts';
import type { CommandContext } from '../command.ts';
import { type Pairs, SERVICE_SETTINGS, wishesToKeep } from './service-wishes.ts';

/** What was saved; `from` is what was saved before, `null` where nothing was. */
export interface Saved {
  readonly file: string;
  readonly mode: { readonly from: ServiceMode | null; readonly to: ServiceMode } | null;
  readonly services: readonly {
    readonly name: ServiceName;
    readonly from: ServiceMode | null;
    /** `null`: it follows the general mode again. */
    readonly to: ServiceMode | null;
  }[];
}

/** Saves what is asked for; `null` when that is nothing. Refused with E101 or E102 when it could not be used, E005 for unknown names. */
export async function saveWishes(
  { mode, services }: { mode: ServiceMode | undefined; services: Pairs },
  world: World,
  { config, clock }: CommandContext,
): Promise<Saved | null> {
  const wishes = wishesToKeep(services);
  if (mode === undefined && wishes.size === 0) return null;
  const directory = directoryOf(config);
  const before = readPreferences(config.preferencesFile);
  const was = (name: string) => SERVICE_MODES.find((one) => one === before[name]) ?? null;
  const kept = (name: ServiceName) => {
    const wish = wishes.get(name);
    return wish === 'default' ? null : (wish ?? was(SERVICE_SETTINGS[name]));
  };
  const overrides: Overrides = {};
  for (const name of SERVICES) {
    const to = kept(name);
    if (to !== null) overrides[name] = to;
  }
  const { router, store, userId } = world;
  const general = mode ?? was('SERVICE_MODE') ?? config.settings.SERVICE_MODE;
  router.refuseUnusable(router.decide(general, overrides));
  const saved: Saved = {
    file: config.preferencesFile,
    mode: mode === undefined ? null : { from: was('SERVICE_MODE'), to: mode },
    services: [...wishes.keys()].map((name) => ({ name, from: was(SERVICE_SETTINGS[name]), to: kept(name) })),
  };
  const changes = [
    ...(saved.mode === null ? [] : [{ ...saved.mode, service: null, setting: 'SERVICE_MODE' as const }]),
    ...saved.services.map(({ name, from, to }) => ({ from, to, service: name, setting: SERVICE_SETTINGS[name] })),
  ];
  for (const { from, to, service, setting } of changes) {
    if (from === to) continue;
    await savePreference(directory, setting, to ?? undefined);
    const row = { changed_at: clock.now(), from_mode: from, to_mode: to ?? general, changed_by: userId, service };
    await store.write((trx) => recordModeChange(trx, row));
  }
  return saved;
}

/** `conf` names its file itself, so only a file of that name can be written. */
function directoryOf({ preferencesFile }: Config): string {
  if (basename(preferencesFile) === 'config.json') return dirname(preferencesFile);
  throw new TvdbError('E003', {
    message: `--config must name a file called config.json to be written, not "${preferencesFile}"`,
    facts: { flag: '--config', value: preferencesFile, command: 'mode' },
  });
}
