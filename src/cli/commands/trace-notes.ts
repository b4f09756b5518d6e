/** What the events between the tries of a job mean, in one sentence each. */
import { shortId } from '../../base/ids.ts';
import { ROUTE_REASONS, type RouteReason, SERVICES, type ServiceName } from '../../domain/service-mode.ts';
import type { EventCode } from '../../store/events.ts';
import type { JobEventRow } from '../../store/schema.ts';
import { duration, plural, usd } from '../ui/format.ts';
import { routeReason } from './route-text.ts';

type Facts = Readonly<Record<string, unknown>>;

const TEXTS: Partial<Record<EventCode, (facts: Facts) => string>> = {
  FALLBACK: fallbackText,
  MODE_CHANGED: ({ from, to }) => `mode ${text(from)} -> ${text(to)}, by the user`,
  PARSE_CACHE_HIT: ({ pages }) => `parsed before: ${plural(number(pages), 'page')} from the cache, nothing sent`,
  PARSE_ADOPTED: ({ remote_id: id }) =>
    `the request had arrived: remote job ${shortRemote(id)} adopted, nothing sent again`,
  PARSE_UNKNOWN: ({ why }) => `not known whether the request arrived: ${text(why)}`,
  PARSE_ABSENT: ({ looked_for_ms: ms }) => `the request never arrived, looked for it for ${duration(number(ms))}`,
  PARSE_OVERRUN: twinText,
  PARSE_INCOMPLETE: ({ accepted }) =>
    accepted === true
      ? 'pages failed, came empty or were cut; accepted all the same'
      : 'pages failed, came empty or were cut',
  EMBED_CACHE_HIT: ({ vectors }) => `${plural(number(vectors), 'vector')} from the cache, nothing sent`,
  EMBED_BATCH_OVERRUN: twinText,
  EMBED_UNKNOWN: ({ why }) => `not known whether a request arrived, it may be paid: ${text(why)}`,
  WEBHOOK_RECEIVED: () => 'a webhook told that the parse ended',
  LEASE_RECLAIMED: ({ held }) =>
    held === true ? 'its worker died too often, held until you act' : 'its worker died, the job was taken back',
  RESUMED: () => 'taken up again',
  CANCELLED: () => 'cancelled',
  UPLOAD_ATTACHED: () => 'uploaded again while in work, attached',
  DOCUMENT_DELETED: () => 'the document was deleted',
};

/** The sentence of an event; its code in words for one that has none. */
export function noteOf({ code, data }: Pick<JobEventRow, 'code' | 'data'>): string {
  const facts = JSON.parse(data) as Facts;
  return TEXTS[code as EventCode]?.(facts) ?? code.toLowerCase().replaceAll('_', ' ');
}

/** What it cost in the end is said with its request (`--full`) and in the cost of the job. */
function twinText({ remote_id: id, twin_attempt_id: twin, nano_usd: nano }: Facts): string {
  const sum = typeof nano === 'number' ? `up to ${usd(nano)} charged for it` : 'its price is not known';
  return `the service did one request twice: ${shortRemote(id)} is not used, ${sum}; costs acknowledge ${shortRemote(twin)}`;
}

/** One event tells of one service; the one of an upload may tell of both. */
function fallbackText(facts: Facts): string {
  const { service, to, reason } = facts;
  const known = SERVICES.find((one) => one === service);
  return `fallback: ${text(service)} uses ${text(to).toUpperCase()}, ${known === undefined ? text(reason) : reasonText(reason, known)}`;
}

function reasonText(reason: unknown, service: ServiceName): string {
  const why = ROUTE_REASONS.find((one): one is RouteReason => one === reason);
  return why === undefined ? text(reason) : routeReason({ use: 'mock', why, fallback: true }, service);
}

function shortRemote(id: unknown): string {
  return typeof id === 'string' ? shortId(id) : '-';
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : 'unknown';
}

function number(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}
