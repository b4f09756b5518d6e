/** `mode` on a screen, in a pipe and as JSON. */
import { iso } from '../../base/clock.ts';
import { sourceText } from '../../config/load.ts';
import type { Route, ServiceMode } from '../../domain/service-mode.ts';
import type { CommandContext, CommandResult } from '../command.ts';
import { age } from '../ui/format.ts';
import { dim, strong, type Text, warn } from '../ui/text.ts';
import type { Page, Ui, Warning } from '../ui/ui.ts';
import type { ModeAnswer, ServiceRoute } from './mode-answer.ts';
import { routeReason } from './route-text.ts';
import { SERVICE_SETTINGS } from './service-wishes.ts';
import { secretText, sourceName, sourcePhrase } from './setting-source.ts';
import { untilText } from './status-view.ts';

/** The answer of the command where it is not about jobs. */
export function modeResult(answer: ModeAnswer, { ui }: Pick<CommandContext, 'ui'>): CommandResult {
  const { mode, source, services } = answer;
  return {
    data: { ...modeJson(answer), jobs: null },
    warnings: warnings(answer),
    render: (page) => modePage(page, answer, ui),
    plain: () => [
      ['mode', mode, sourceName(source, 'SERVICE_MODE')],
      ...services.map(({ name, route }) => [name, route.use ?? 'none', route.why]),
    ],
    quiet: () => [mode],
  };
}

/** `data` of `tvdb.mode/v1`, without what is about jobs. */
export function modeJson(answer: ModeAnswer): Record<string, unknown> {
  const { mode, source, shadowed, services, saved, hidden } = answer;
  return {
    mode,
    source: sourceName(source, 'SERVICE_MODE'),
    shadowed: shadowed.map((one) => ({ source: sourceName(one.source, 'SERVICE_MODE'), value: one.text })),
    services: services.map((service) => ({
      name: service.name,
      mode: service.mode,
      mode_source: sourceName(service.source, service.own ? SERVICE_SETTINGS[service.name] : 'SERVICE_MODE'),
      wanted: wanted(service.mode),
      effective: service.route.use,
      reason: service.route.why,
      fallback: service.route.fallback,
      blocked: service.blocked?.why ?? null,
      key: service.key === undefined ? null : secretText(service.key),
      retry_at: iso(service.blocked?.retryAt ?? service.route.retryAt ?? null),
      last_ok_at: iso(service.lastOkAt),
    })),
    saved:
      saved?.mode == null
        ? null
        : {
            mode: saved.mode.to,
            was: saved.mode.from,
            file: saved.file,
            changed: saved.mode.from !== saved.mode.to,
            in_effect: !hidden.includes('SERVICE_MODE'),
          },
    saved_services: (saved?.services ?? []).map(({ name, from, to }) => ({
      name,
      mode: to,
      was: from,
      file: saved?.file ?? null,
      changed: from !== to,
      in_effect: !hidden.includes(SERVICE_SETTINGS[name]),
    })),
  };
}

/** What a mode asks of a service. */
function wanted(mode: ServiceMode): 'mock' | 'real' {
  return mode === 'mock' ? 'mock' : 'real';
}

function warnings({ saved, hidden, source, mode, services }: ModeAnswer): Warning[] {
  const list: Warning[] = [];
  const say = (setting: Parameters<typeof sourceName>[1], from: typeof source, to: string, value: string) => {
    if (to === value) return;
    const cure =
      from.kind === 'environment'
        ? `unset ${setting}`
        : from.kind === 'file'
          ? `remove ${setting} from ${from.path}`
          : 'leave the flag out';
    const message = `${to} is saved but not in effect here: ${setting}=${value} is set in ${sourceText(from)}; ${cure}`;
    list.push({ code: 'TVDB-W103', message });
  };
  if (saved?.mode != null && hidden.includes('SERVICE_MODE')) say('SERVICE_MODE', source, saved.mode.to, mode);
  for (const { name, to } of saved?.services ?? []) {
    const service = services.find((one) => one.name === name);
    const setting = SERVICE_SETTINGS[name];
    if (service !== undefined && hidden.includes(setting)) say(setting, service.source, to ?? 'default', service.mode);
  }
  return list;
}

/** The modes and where they come from, then a row for each service. */
function modePage(page: Page, answer: ModeAnswer, ui: Pick<Ui, 'date' | 'time'>): void {
  const { mode, source, shadowed, services, saved, at } = answer;
  const before = (from: ServiceMode | null, to: ServiceMode | null) =>
    dim(`(${from === to ? 'unchanged' : from === null ? 'nothing was saved before' : `was ${from}`})`);
  if (saved?.mode != null)
    page.field(
      'Saved',
      strong(`mode ${saved.mode.to}`),
      ` in ${saved.file}   `,
      before(saved.mode.from, saved.mode.to),
    );
  for (const { name, from, to } of saved?.services ?? [])
    page.field('Saved', strong(`${name} ${to ?? 'as the mode'}`), ` in ${saved?.file ?? ''}   `, before(from, to));
  page.field('Mode', strong(mode), `   from ${sourcePhrase(source, 'SERVICE_MODE')}`);
  for (const one of shadowed) page.field('', dim(`hides ${one.text} from ${sourcePhrase(one.source, 'SERVICE_MODE')}`));
  for (const { name, own, mode: its, source: from } of services)
    if (own) page.field('', `${name} ${its}   `, dim(`from ${sourcePhrase(from, SERVICE_SETTINGS[name])}`));
  page.table({
    columns: [{ head: 'SERVICE' }, { head: 'WANTED' }, { head: 'IN EFFECT' }, { head: 'WHY', flex: true }],
    rows: [
      ...services.map((service) => [service.title, wanted(service.mode), effect(service.route), why(service, at, ui)]),
      ['Chunker', 'local', 'local', 'always local'],
    ],
  });
}

/** A stand-in is shouted. */
function effect({ use, fallback }: Route): Text {
  if (use === null) return warn('none');
  return fallback ? warn(use.toUpperCase()) : use;
}

function why({ name, key, route, blocked, lastOkAt }: ServiceRoute, at: number, ui: Pick<Ui, 'date' | 'time'>): string {
  const reason = routeReason(route, name, key === undefined ? '' : secretText(key));
  const parts = [reason];
  if (blocked !== null && blocked.why !== 'ok')
    parts.push(`jobs wait: ${routeReason({ ...route, why: blocked.why }, name)}`);
  const retryAt = blocked?.retryAt ?? route.retryAt ?? null;
  if (retryAt !== null) parts.push(untilText(retryAt, at, ui));
  if (route.use === 'real' && lastOkAt !== null) parts.push(`last ok ${age(Math.max(0, at - lastOkAt))} ago`);
  return parts.join(', ');
}
