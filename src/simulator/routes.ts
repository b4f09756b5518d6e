/** The endpoints of both services: method and path, the name that faults and the log use, and what answers. */
import type { Answer, Service, SimRequest } from './exchange.ts';
import type { Operation } from './operations.ts';

export interface Route {
  readonly service: Service;
  readonly method: string;
  /** `:` marks an open part. */
  readonly path: string;
  readonly operation: Operation | ((request: Pick<SimRequest, 'query'>) => Operation);
  handle(request: SimRequest): Answer | Promise<Answer>;
}

export interface Found {
  readonly route: Route;
  readonly operation: Operation;
  readonly params: readonly string[];
}

/** The route of a request and the open parts of its path, decoded. */
export function findRoute(
  routes: readonly Route[],
  method: string,
  { pathname, searchParams }: URL,
): Found | undefined {
  const parts = pathname.split('/');
  for (const route of routes) {
    const pattern = route.path.split('/');
    if (route.method !== method || pattern.length !== parts.length) continue;
    if (!pattern.every((part, at) => part === ':' || part === parts[at])) continue;
    const params = parts.filter((_, at) => pattern[at] === ':').map(decoded);
    const { operation } = route;
    return { route, params, operation: typeof operation === 'string' ? operation : operation({ query: searchParams }) };
  }
  return undefined;
}

/** Which service a path belongs to; `undefined` for neither. */
export function serviceOf(pathname: string): Service | undefined {
  if (pathname.startsWith('/api/')) return 'llama';
  return pathname.startsWith('/v1/') ? 'openai' : undefined;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
