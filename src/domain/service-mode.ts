/** What the user wants (`mode`), what really happened (`origin`), and the pure decision between them. */

export const SERVICE_MODES = ['mock', 'real', 'hybrid'] as const;
export type ServiceMode = (typeof SERVICE_MODES)[number];

/** How parse results are learnt of. */
export const RESULT_WAYS = ['auto', 'webhook', 'poll'] as const;

/** Which provider really produced a parse or a vector. */
export type Origin = 'mock' | 'real';

export const SERVICES = ['llamaparse', 'openai'] as const;
export type ServiceName = (typeof SERVICES)[number];

/** Why a route was taken. Closed list; stored with the job and shown by `mode`, `trace` and `status`. */
export const ROUTE_REASONS = [
  'mode_mock',
  'mode_real',
  'override',
  'ok',
  'key_missing',
  'not_built',
  'parse_is_mock',
  'breaker_open',
  'key_refused',
  'no_credit',
  'rate_limited',
  'service_unavailable',
  'budget',
] as const;
export type RouteReason = (typeof ROUTE_REASONS)[number];

/** A decided route. `use: null` means: no provider may be used, the job waits or is refused. */
export interface Route {
  use: Origin | null;
  why: RouteReason;
  /** True when `hybrid` wanted real and got mock. */
  fallback: boolean;
  /** When the real service may be tried again, where that is known. */
  retryAt?: number | null;
}

/** What stops a real service from being used now; found out by all processes together (breaker, limits). */
export interface ServiceState {
  open: boolean;
  why: 'ok' | 'breaker_open' | 'key_refused' | 'no_credit' | 'rate_limited';
  retryAt: number | null;
}

export interface RouteQuestion {
  mode: ServiceMode;
  /** Per-service override (`--service openai=mock`). */
  override: ServiceMode | undefined;
  /** Whether a key for the service is set. */
  keyPresent: boolean;
  /** Whether this build has a real client for the service. */
  realAvailable: boolean;
  /** Absent: not asked (what would be decided if nothing stood in the way). */
  state?: ServiceState | undefined;
}

/**
 * Decides which provider serves a job. Pure: same question, same answer, with a reason that is stored with the job.
 * `mock` never uses real; `real` never uses mock, so that a service that is down makes the job wait; `hybrid` uses real
 * when it can and otherwise mock, labelled. A limit of requests is no reason for a mock: it passes by itself.
 */
export function choose({ mode, override, keyPresent, realAvailable, state }: RouteQuestion): Route {
  const wanted = override ?? mode;
  if (wanted === 'mock')
    return { use: 'mock', why: override === undefined ? 'mode_mock' : 'override', fallback: false };
  if (!keyPresent) {
    return wanted === 'hybrid'
      ? { use: 'mock', why: 'key_missing', fallback: true }
      : { use: null, why: 'key_missing', fallback: false };
  }
  if (!realAvailable) return { use: null, why: 'not_built', fallback: false };
  if (wanted === 'hybrid' && state?.open === true && state.why !== 'ok' && state.why !== 'rate_limited')
    return { use: 'mock', why: state.why, fallback: true, retryAt: state.retryAt };
  return { use: 'real', why: wanted === 'real' ? 'mode_real' : 'ok', fallback: false };
}

/** Whether a mode lets a provider of this origin be used at all. */
export function allows(mode: ServiceMode, origin: Origin): boolean {
  return mode === 'hybrid' || mode === origin;
}
