/** `mode` on a screen, in a pipe and as JSON. */
import { type Source, sourceText } from '../../config/load.ts';
import type { Route, ServiceMode, ServiceName } from '../../domain/service-mode.ts';
import type { CommandResult } from '../command.ts';
import { dim, strong, type Text, warn } from '../ui/text.ts';
import type { Page, Warning } from '../ui/ui.ts';
import { routeReason } from './route-text.ts';
import { secretText, sourceName, sourcePhrase } from './setting-source.ts';

export interface ServiceRoute {
  readonly name: ServiceName;
  readonly title: string;
  readonly key: string | undefined;
  readonly route: Route;
}

export interface ModeAnswer {
  readonly mode: ServiceMode;
  readonly source: Source;
  /** Values of lower precedence. */
  readonly shadowed: readonly { readonly source: Source; readonly text: string }[];
  readonly services: readonly ServiceRoute[];
  /** What was saved by this command; `from` is the saved mode before, if there was one. */
  readonly saved: { readonly from: ServiceMode | null; readonly to: ServiceMode; readonly file: string } | null;
  /** Something of higher precedence than the saved mode decides here. */
  readonly hidden: boolean;
}

/** The whole answer of the command. */
export function modeResult(answer: ModeAnswer): CommandResult {
  const { mode, source, shadowed, services, saved } = answer;
  return {
    data: {
      mode,
      source: sourceName(source, 'SERVICE_MODE'),
      shadowed: shadowed.map((one) => ({ source: sourceName(one.source, 'SERVICE_MODE'), value: one.text })),
      services: services.map(({ name, key, route }) => ({
        name,
        wanted: wanted(mode),
        effective: route.use,
        reason: route.why,
        fallback: route.fallback,
        key: key === undefined ? null : secretText(key),
        retry_at: null,
      })),
      saved:
        saved === null
          ? null
          : {
              mode: saved.to,
              was: saved.from,
              file: saved.file,
              changed: saved.from !== saved.to,
              in_effect: !answer.hidden,
            },
    },
    warnings: warnings(answer),
    render: (page) => modePage(page, answer),
    plain: () => [
      ['mode', mode, sourceName(source, 'SERVICE_MODE')],
      ...services.map(({ name, route }) => [name, route.use ?? 'none', route.why]),
    ],
    quiet: () => [mode],
  };
}

/** What the mode asks of a service. */
function wanted(mode: ServiceMode): 'mock' | 'real' {
  return mode === 'mock' ? 'mock' : 'real';
}

function warnings({ saved, hidden, source, mode }: ModeAnswer): Warning[] {
  if (saved === null || !hidden || saved.to === mode) return [];
  const cure =
    source.kind === 'environment'
      ? 'unset SERVICE_MODE'
      : source.kind === 'file'
        ? `remove SERVICE_MODE from ${source.path}`
        : 'leave the flag out';
  return [
    {
      code: 'TVDB-W103',
      message: `${saved.to} is saved but not in effect here: SERVICE_MODE=${mode} is set in ${sourceText(source)}; ${cure}`,
    },
  ];
}

function modePage(page: Page, { mode, source, shadowed, services, saved }: ModeAnswer): void {
  if (saved !== null) {
    const before =
      saved.from === saved.to ? 'unchanged' : saved.from === null ? 'nothing was saved before' : `was ${saved.from}`;
    page.field('Saved', strong(`mode ${saved.to}`), ` in ${saved.file}   `, dim(`(${before})`));
  }
  page.field('Mode', strong(mode), `   from ${sourcePhrase(source, 'SERVICE_MODE')}`);
  for (const one of shadowed) page.field('', dim(`hides ${one.text} from ${sourcePhrase(one.source, 'SERVICE_MODE')}`));
  page.table({
    columns: [{ head: 'SERVICE' }, { head: 'WANTED' }, { head: 'IN EFFECT' }, { head: 'WHY', flex: true }],
    rows: [
      ...services.map((service) => [service.title, wanted(mode), effect(service.route), why(service)]),
      ['Chunker', 'local', 'local', 'always local'],
    ],
  });
}

/** A stand-in is shouted. */
function effect({ use, fallback }: Route): Text {
  if (use === null) return warn('none');
  return fallback ? warn(use.toUpperCase()) : use;
}

function why({ name, key, route }: ServiceRoute): string {
  return routeReason(route, name, key === undefined ? '' : secretText(key));
}
