/** What a PDF child process and its parent say to each other over the IPC channel (`serialization: 'advanced'`). */
import type { ErrorCode } from '../../base/error-codes.ts';
import type { ParsedPage } from '../../domain/parsed-page.ts';

/** Work for a child. Paths are absolute. */
export type PdfTask = { kind: 'inspect'; path: string } | { kind: 'extract'; path: string; pages: number };

export interface Inspection {
  /** Pages found by walking the page tree; never taken from `/Count` alone when the tree can be walked. */
  pages: number;
  /** True for a document that is encrypted but opens without a password (owner password only). */
  encrypted: boolean;
}

/** The value each task answers with. */
export interface TaskValue {
  inspect: Inspection;
  extract: ParsedPage[];
}

/** A refusal that crosses the process border; the parent makes a `TvdbError` of it. */
export interface Refusal {
  code: ErrorCode;
  message: string;
  why: string | undefined;
  facts: Record<string, unknown>;
}

/** From the parent: one task at a time. */
export interface TaskMessage {
  id: number;
  task: PdfTask;
}

/** From the child: `ready` once, when it listens; then one answer for each task. */
export type ChildMessage =
  | { type: 'ready' }
  | { type: 'done'; id: number; value: Inspection | ParsedPage[]; usage: ChildUsage }
  | { type: 'refused'; id: number; refusal: Refusal; usage: ChildUsage };

/** What a child has used so far; the parent replaces a child that has grown or worked long. */
export interface ChildUsage {
  rssBytes: number;
  cpuMs: number;
}
