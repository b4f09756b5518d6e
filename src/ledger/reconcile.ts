/** Compares what the ledger says with what a service says it billed, request by request. Pure. */
import type { ServiceName } from '../domain/service-mode.ts';

/** What the ledger has of one request. */
export interface OurCharge {
  readonly attemptId: string;
  readonly service: ServiceName;
  /** The service's ids of it: of the job it made, of the request itself. */
  readonly remoteIds: readonly string[];
  readonly state: 'open' | 'unknown' | 'settled' | 'released';
  /** Nano-USD settled; 0 for a hold that was given back; `null` while it has no ending. */
  readonly nanoUsd: number | null;
  /** Settled at the hold because the service had not billed. */
  readonly provisional: boolean;
}

/** One line of a service's bill. */
export interface TheirCharge {
  readonly service: ServiceName;
  /** Whatever the line names the request by: our attempt, its job, its request. The first that is known counts, the service's own before ours. */
  readonly ids: readonly string[];
  readonly nanoUsd: number;
}

export interface Difference {
  readonly attemptId: string | null;
  readonly service: ServiceName;
  /** The id the service has for it, where there is one. */
  readonly remoteId: string | null;
  /**
   * `amount`: both have it with other sums. `not_ours`: the service billed what no request here asked for. `not_theirs`: the
   * ledger has a charge that the service does not list. `given_back`: billed, though the hold was released.
   */
  readonly kind: 'amount' | 'not_ours' | 'not_theirs' | 'given_back';
  readonly oursNanoUsd: number | null;
  readonly theirsNanoUsd: number | null;
}

export interface Comparison {
  readonly differences: readonly Difference[];
  /** Requests whose outcome the ledger does not know, with what the service billed for them; `null` where it lists none. */
  readonly unsettled: readonly { readonly charge: OurCharge; readonly theirsNanoUsd: number | null }[];
  readonly oursNanoUsd: number;
  readonly theirsNanoUsd: number;
  /** Requests that both have, with the same sum. */
  readonly equal: number;
}

/**
 * Compares all charges of one side with all of the other. Several lines for one request are added up: a service that billed
 * twice, and whose second job is not in the ledger, shows as another amount. What the ledger holds as unknown or provisional is no difference; it is listed apart.
 */
export function compareCharges(ours: readonly OurCharge[], theirs: readonly TheirCharge[]): Comparison {
  const byAttempt = new Map(ours.map((charge) => [charge.attemptId, charge]));
  const byRemote = new Map(ours.flatMap((charge) => charge.remoteIds.map((id) => [id, charge] as const)));
  const billed = new Map<OurCharge, number>();
  const differences: Difference[] = [];
  for (const line of theirs) {
    // The service's own ids first: what it made twice of one request has our attempt in both lines.
    const known = firstKnown(line.ids, byRemote) ?? firstKnown(line.ids, byAttempt);
    if (known !== undefined) billed.set(known, (billed.get(known) ?? 0) + line.nanoUsd);
    else if (line.nanoUsd > 0) {
      const { service, ids, nanoUsd } = line;
      differences.push({
        ...{ attemptId: null, service, remoteId: ids[0] ?? null, kind: 'not_ours' },
        ...{ oursNanoUsd: null, theirsNanoUsd: nanoUsd },
      });
    }
  }
  const unsettled: Comparison['unsettled'][number][] = [];
  let equal = 0;
  for (const charge of ours) {
    const theirsNanoUsd = billed.get(charge) ?? null;
    if (charge.nanoUsd === null || charge.provisional) {
      unsettled.push({ charge, theirsNanoUsd });
      continue;
    }
    if (charge.nanoUsd === (theirsNanoUsd ?? 0)) {
      equal += 1;
      continue;
    }
    differences.push({
      attemptId: charge.attemptId,
      service: charge.service,
      remoteId: charge.remoteIds[0] ?? null,
      kind: theirsNanoUsd === null ? 'not_theirs' : charge.state === 'released' ? 'given_back' : 'amount',
      oursNanoUsd: charge.nanoUsd,
      theirsNanoUsd,
    });
  }
  return {
    differences,
    unsettled,
    oursNanoUsd: ours.reduce((sum, { nanoUsd }) => sum + (nanoUsd ?? 0), 0),
    theirsNanoUsd: theirs.reduce((sum, { nanoUsd }) => sum + nanoUsd, 0),
    equal,
  };
}

function firstKnown(ids: readonly string[], charges: ReadonlyMap<string, OurCharge>): OurCharge | undefined {
  return ids.map((id) => charges.get(id)).find((one) => one !== undefined);
}
