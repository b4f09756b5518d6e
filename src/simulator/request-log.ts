/** What the simulated providers remember: every request and every webhook delivery, as an independent witness. */
import { appendFileSync } from 'node:fs';
import type { Service } from './exchange.ts';
import type { Operation } from './operations.ts';

export interface LoggedRequest {
  readonly kind: 'request';
  readonly seq: number;
  /** RFC 3339. */
  readonly at: string;
  readonly service: Service;
  /** `null` for a path that is no endpoint. */
  readonly operation: Operation | null;
  readonly method: string;
  /** With its query. */
  readonly path: string;
  /** Those that tell something; `authorization` is the first 8 hex digits of the SHA-256 of the key. */
  readonly headers: Readonly<Record<string, string>>;
  readonly requestId: string;
  /** `user_metadata.tvdb_attempt` or `X-Client-Request-Id`. */
  readonly attemptId: string | null;
  /** Whether something was made or computed that may be billed, whatever the client got to see. */
  readonly accepted: boolean;
  /** Ids of what was made. */
  readonly made: readonly string[];
  readonly status: number | 'cut' | 'hung';
  /** The fault that happened to it, as `target=action`. */
  readonly fault: string | null;
  /** JSON, or the fields of a form with name, size and SHA-256 in the place of a file's bytes. Secrets as fingerprints. */
  readonly body: unknown;
}

export interface LoggedDelivery {
  readonly kind: 'webhook';
  readonly seq: number;
  readonly at: string;
  readonly jobId: string;
  readonly eventId: string;
  readonly event: string;
  /** 1 to 3. */
  readonly attempt: number;
  /** `null` when no answer came. */
  readonly status: number | null;
}

type Unnumbered<T> = Omit<T, 'seq' | 'at'>;

export interface RequestLog {
  request(entry: Unnumbered<LoggedRequest>): void;
  delivery(entry: Unnumbered<LoggedDelivery>): void;
  requests(): LoggedRequest[];
  deliveries(): LoggedDelivery[];
  clear(): void;
}

/** The file is opened, written and closed for each line, so that a SIGKILL of any process loses none. */
export function createRequestLog(now: () => number, file: string | undefined): RequestLog {
  let entries: (LoggedRequest | LoggedDelivery)[] = [];
  let last = 0;

  function keep(entry: Unnumbered<LoggedRequest> | Unnumbered<LoggedDelivery>): void {
    last += 1;
    const line = { ...entry, seq: last, at: new Date(now()).toISOString() } as LoggedRequest | LoggedDelivery;
    entries.push(line);
    if (file !== undefined) appendFileSync(file, `${JSON.stringify(line)}\n`);
  }

  return {
    request: keep,
    delivery: keep,
    requests: () => entries.filter((entry) => entry.kind === 'request'),
    deliveries: () => entries.filter((entry) => entry.kind === 'webhook'),
    clear() {
      entries = [];
    },
  };
}
