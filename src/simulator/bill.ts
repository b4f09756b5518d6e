/** The providers' own bill, in whole credits, tokens and nano-dollars. */

export interface BilledJob {
  readonly jobId: string;
  readonly attemptId: string | null;
  readonly pages: number;
  readonly credits: number;
  readonly cacheHit: boolean;
}

export interface BilledRequest {
  readonly requestId: string;
  readonly attemptId: string | null;
  readonly model: string;
  readonly tokens: number;
  /** The batch it was part of; half price. */
  readonly batchId: string | null;
  readonly nanoUsd: number;
}

export interface Bill {
  readonly credits: number;
  readonly tokens: number;
  readonly nanoUsd: number;
  readonly jobs: readonly BilledJob[];
  readonly requests: readonly BilledRequest[];
}

/** Credits for a page by tier (list prices, wire facts A8). */
export const CREDITS_PER_PAGE: Readonly<Record<string, number>> = {
  fast: 1,
  cost_effective: 3,
  agentic: 10,
  agentic_plus: 45,
};

/** $1.25 for 1,000 credits. */
const NANO_USD_PER_CREDIT = 1_250_000;

/** Nano-dollars for a token: $0.02, $0.13 and $0.10 a million. Batch is half of it. */
const NANO_USD_PER_TOKEN: Readonly<Record<string, number>> = {
  'text-embedding-3-small': 20,
  'text-embedding-3-large': 130,
  'text-embedding-ada-002': 100,
};

export interface Biller {
  job(line: BilledJob): void;
  request(line: Omit<BilledRequest, 'nanoUsd'>): void;
  bill(): Bill;
  clear(): void;
}

/** An empty bill. */
export function createBiller(): Biller {
  let jobs: BilledJob[] = [];
  let requests: BilledRequest[] = [];
  const sum = (figures: readonly number[]) => figures.reduce((total, figure) => total + figure, 0);
  return {
    job: (line) => jobs.push(line),
    request(line) {
      const price = (NANO_USD_PER_TOKEN[line.model] ?? 0) / (line.batchId === null ? 1 : 2);
      requests.push({ ...line, nanoUsd: price * line.tokens });
    },
    bill() {
      const credits = sum(jobs.map((job) => job.credits));
      return {
        credits,
        tokens: sum(requests.map((request) => request.tokens)),
        nanoUsd: credits * NANO_USD_PER_CREDIT + sum(requests.map((request) => request.nanoUsd)),
        jobs: [...jobs],
        requests: [...requests],
      };
    },
    clear() {
      jobs = [];
      requests = [];
    },
  };
}
