/** `tvdb mode`: which services are used and why, and the saved default. */
import { basename, dirname } from 'node:path';
import { TvdbError } from '../../base/errors.ts';
import type { Config } from '../../config/load.ts';
import { SERVICE_MODES, type ServiceMode } from '../../domain/service-mode.ts';
import { type CommandContext, defineCommand } from '../command.ts';
import type { ModeAnswer } from './mode-view.ts';

export const modeCommand = defineCommand({
  name: 'mode',
  summary: 'show or save which services are used: mock, real or hybrid',
  description:
    'mock is free and offline; real uses the paid services only; hybrid uses the real ones and, when one cannot be used, the mock, visibly. ' +
    'A saved mode applies where neither a flag, nor the environment, nor an .env file says otherwise.',
  args: [{ name: 'mode', summary: 'save this as the default', value: SERVICE_MODES, optional: true }],
  options: [],
  examples: [
    ['tvdb mode', 'what is in effect here, and why'],
    ['tvdb mode hybrid', 'save hybrid in the user configuration'],
  ],
  needs: 'world',
  exitCodes: [0, [2, 'unknown mode'], [4, 'a key is missing, or the real services are not built in; nothing is saved']],
  json: 'tvdb.mode/v1',
  ndjson: false,
  async handler({ args }, ctx) {
    const world = await ctx.openWorld();
    const { modeResult } = await import('./mode-view.ts');
    const { config } = ctx;
    const saved = args.mode === undefined ? null : await save(args.mode, ctx);
    const { source, shadowed } = config.sources.SERVICE_MODE;
    const hidden = source.kind === 'flag' || source.kind === 'environment' || source.kind === 'file';
    // A mode that was saved just now is in effect unless something before it in the order hides it.
    const applies = saved !== null && !hidden;
    const mode = applies ? saved.to : config.settings.SERVICE_MODE;
    const decision = world.router.decide(mode);
    const answer: ModeAnswer = {
      mode,
      source: applies ? { kind: 'preferences', path: config.preferencesFile } : source,
      shadowed: [
        ...shadowed.filter((one) => saved === null || one.source.kind !== 'preferences'),
        ...(saved !== null && hidden
          ? [{ source: { kind: 'preferences' as const, path: config.preferencesFile }, text: saved.to }]
          : []),
      ],
      services: [
        {
          name: 'llamaparse',
          title: 'LlamaParse',
          key: config.settings.LLAMAPARSE_API_KEY ?? config.settings.LLAMA_CLOUD_API_KEY,
          route: decision.services.llamaparse,
        },
        { name: 'openai', title: 'OpenAI', key: config.settings.OPENAI_API_KEY, route: decision.services.openai },
      ],
      saved,
      hidden,
    };
    return modeResult(answer);
  },
});

/** Saves a mode as the default and records the change; refused when the mode could not be used. */
async function save(to: ServiceMode, ctx: CommandContext): Promise<NonNullable<ModeAnswer['saved']>> {
  const { config, clock } = ctx;
  const world = await ctx.openWorld();
  world.router.refuseUnusable(world.router.decide(to));
  const { readPreferences, savePreference } = await import('../../config/preferences.ts');
  const before = readPreferences(config.preferencesFile).SERVICE_MODE ?? null;
  const from = SERVICE_MODES.find((mode) => mode === before) ?? null;
  if (from !== to) {
    await savePreference(directoryOf(config), 'SERVICE_MODE', to);
    const { recordModeChange } = await import('../../store/mode-changes.ts');
    await world.store.write((trx) =>
      recordModeChange(trx, { changed_at: clock.now(), from_mode: from, to_mode: to, changed_by: world.userId }),
    );
  }
  return { from, to, file: config.preferencesFile };
}

/** `conf` names its file itself, so only a file of that name can be written. */
function directoryOf({ preferencesFile }: Config): string {
  if (basename(preferencesFile) === 'config.json') return dirname(preferencesFile);
  throw new TvdbError('E003', {
    message: `--config must name a file called config.json to be written, not "${preferencesFile}"`,
    facts: { flag: '--config', value: preferencesFile, command: 'mode' },
  });
}
