/** Gathers what `mode` answers: the modes in effect here with their sources, and how each service stands now. */
import type { Config, Source } from '../../config/load.ts';
import {
  type Route,
  SERVICES,
  type ServiceMode,
  type ServiceName,
  type ServiceState,
} from '../../domain/service-mode.ts';
import type { Overrides } from '../../services/router.ts';
import { healthSummary } from '../../store/service-health.ts';
import type { World } from '../../world.ts';
import type { Saved } from './mode-save.ts';
import { SERVICE_SETTINGS } from './service-wishes.ts';

const TITLES: Record<ServiceName, string> = { llamaparse: 'LlamaParse', openai: 'OpenAI' };
/** How far back the last good answer of a service is looked for. */
const LOOK_BACK_MS = 86_400_000;

export interface ServiceRoute {
  readonly name: ServiceName;
  readonly title: string;
  readonly key: string | undefined;
  readonly route: Route;
  /** What is wanted of it, and where that comes from; `own` is false where it follows the general mode. */
  readonly mode: ServiceMode;
  readonly source: Source;
  readonly own: boolean;
  /** What stands in the way of the real service; `null` when nothing does or it is not used. */
  readonly blocked: ServiceState | null;
  readonly lastOkAt: number | null;
}

export interface ModeAnswer {
  readonly at: number;
  readonly mode: ServiceMode;
  readonly source: Source;
  /** Values of lower precedence. */
  readonly shadowed: readonly { readonly source: Source; readonly text: string }[];
  readonly services: readonly ServiceRoute[];
  readonly saved: Saved | null;
  /** Names of what was saved and is not in effect here, because something of higher precedence decides. */
  readonly hidden: readonly (keyof typeof NAMES)[];
}

const NAMES = { SERVICE_MODE: null, SERVICE_MODE_LLAMAPARSE: null, SERVICE_MODE_OPENAI: null };
type ModeSetting = keyof typeof NAMES;

/** Everything `mode` shows, as of now. Asks no service. */
export async function modeAnswer(world: World, config: Config, saved: Saved | null): Promise<ModeAnswer> {
  const { router, store, clock } = world;
  const at = clock.now();
  const general = inEffect('SERVICE_MODE', config, savedAs('SERVICE_MODE', saved));
  const own = Object.fromEntries(
    SERVICES.map((name) => [name, inEffect(SERVICE_SETTINGS[name], config, savedAs(SERVICE_SETTINGS[name], saved))]),
  ) as Record<ServiceName, InEffect>;
  const wishes: Overrides = {};
  for (const name of SERVICES) {
    const { value } = own[name];
    if (value !== undefined) wishes[name] = value;
  }
  const mode = general.value ?? 'mock';
  const decision = await router.decideNow(mode, wishes);
  const { settings } = config;
  const keys = {
    llamaparse: settings.LLAMAPARSE_API_KEY ?? settings.LLAMA_CLOUD_API_KEY,
    openai: settings.OPENAI_API_KEY,
  };
  const services: ServiceRoute[] = [];
  for (const name of SERVICES) {
    const wish = own[name];
    const route = decision.services[name];
    const state = route.use === 'real' ? await router.stateOf(name) : undefined;
    services.push({
      name,
      title: TITLES[name],
      key: keys[name],
      route,
      mode: wish.value ?? mode,
      source: wish.value === undefined ? general.source : wish.source,
      own: wish.value !== undefined,
      blocked: state?.open === true ? state : null,
      lastOkAt: (await healthSummary(store.db, name, at - LOOK_BACK_MS)).lastOkAt,
    });
  }
  const settingsSaved: [ModeSetting, InEffect][] = [
    ['SERVICE_MODE', general],
    ...SERVICES.map((name): [ModeSetting, InEffect] => [SERVICE_SETTINGS[name], own[name]]),
  ];
  return {
    at,
    mode,
    source: general.source,
    shadowed: general.shadowed,
    services,
    saved,
    hidden: settingsSaved.flatMap(([name, { isHidden }]) => (isHidden ? [name] : [])),
  };
}

interface InEffect {
  readonly value: ServiceMode | undefined;
  readonly source: Source;
  readonly shadowed: ModeAnswer['shadowed'];
  /** It was saved just now and something of higher precedence decides. */
  readonly isHidden: boolean;
}

/** What was saved for a setting just now: a mode, `null` for removed, `undefined` for untouched. */
function savedAs(setting: ModeSetting, saved: Saved | null): ServiceMode | null | undefined {
  if (setting === 'SERVICE_MODE') return saved?.mode?.to;
  return saved?.services.find(({ name }) => SERVICE_SETTINGS[name] === setting)?.to;
}

/** A setting as it is after the save: the configuration was read before it. */
function inEffect(setting: ModeSetting, config: Config, to: ServiceMode | null | undefined): InEffect {
  const { source, shadowed } = config.sources[setting];
  const value = config.settings[setting];
  if (to === undefined) return { value, source, shadowed, isHidden: false };
  const preferences = { kind: 'preferences', path: config.preferencesFile } as const;
  const isHidden = source.kind === 'flag' || source.kind === 'environment' || source.kind === 'file';
  const others = shadowed.filter((one) => one.source.kind !== 'preferences');
  const lower = isHidden && to !== null ? [...others, { source: preferences, text: to }] : others;
  if (isHidden) return { value, source, shadowed: lower, isHidden };
  if (to !== null) return { value: to, source: preferences, shadowed: lower, isHidden };
  return { value: undefined, source: { kind: 'default' }, shadowed: lower, isHidden };
}
