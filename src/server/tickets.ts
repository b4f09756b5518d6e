/**
 * Uploads that were announced and whose bytes are still to come. A job exists only once its bytes are stored, so what
 * `POST /upload` gives out is a ticket with the ids the job and its document will have. Tickets live in the memory of the
 * serving process: one that ends loses nothing but announcements.
 */
import type { TvdbError } from '../base/errors.ts';

/** What was announced. */
export interface Announcement {
  filename: string;
  bytes: number;
  sha256: string | null;
}

export interface Ticket extends Announcement {
  readonly jobId: string;
  readonly documentId: string;
  readonly expiresAt: number;
  /** `receiving` while its bytes come in; only one sender may send them. */
  state: 'waiting' | 'receiving' | 'accepted' | 'refused';
  /** Once accepted: the job there is, another one where the same work was under way already. */
  job?: string;
  /** Once refused: why. */
  error?: TvdbError;
}

/** Ended tickets that are remembered, for those who ask what became of them. */
const KEPT = 1_000;

/** The tickets of one process. `now` is asked at every look. */
export function createTickets(now: () => number) {
  const byJob = new Map<string, Ticket>();
  const byDocument = new Map<string, Ticket>();

  const isOpen = ({ state, expiresAt }: Ticket) => state === 'receiving' || (state === 'waiting' && expiresAt > now());
  const forget = () => {
    const over = [...byJob.values()].filter((ticket) => !isOpen(ticket));
    for (const { jobId, documentId } of over.slice(0, Math.max(0, over.length - KEPT))) {
      byJob.delete(jobId);
      byDocument.delete(documentId);
    }
  };

  return {
    add(ticket: Ticket): void {
      forget();
      byJob.set(ticket.jobId, ticket);
      byDocument.set(ticket.documentId, ticket);
    },
    ofJob: (jobId: string) => byJob.get(jobId),
    ofDocument: (documentId: string) => byDocument.get(documentId),
    isOpen,
    /** Tickets in a state, expired ones left out. */
    count: (state: 'waiting' | 'receiving') =>
      [...byJob.values()].filter((ticket) => ticket.state === state && isOpen(ticket)).length,
  };
}

export type Tickets = ReturnType<typeof createTickets>;
